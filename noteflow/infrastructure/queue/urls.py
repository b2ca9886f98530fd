"""Redis URLs, checked before anybody connects to another place than was meant."""

from __future__ import annotations

from urllib.parse import urlsplit

from noteflow.domain.errors import InvalidValue

HOW_TO_ESCAPE = "in a password write @ as %40, / as %2F, # as %23, ? as %3F"


def check_redis_url(url: str, field: str = "url") -> None:
    """Refuse, by an InvalidValue that never repeats it, what is no redis://, rediss:// or unix:// URL.

    After the host comes nothing, or the number of a database: redis-py takes anything else for database 0.
    """
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise InvalidValue(field, "must begin with redis://, rediss:// or unix://")
    parts = urlsplit(url)
    try:
        _ = parts.port
    except ValueError:
        # Not chained: what was taken for a port may be a piece of the password.
        raise InvalidValue(field, f"its port is no number; {HOW_TO_ESCAPE}") from None
    number = parts.path.strip("/")
    if parts.scheme != "unix" and (parts.fragment or (number and not (number.isascii() and number.isdigit()))):
        raise InvalidValue(field, f"after the host comes the number of a database, as in /0; {HOW_TO_ESCAPE}")
