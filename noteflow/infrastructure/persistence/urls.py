"""Database URLs in the spellings people use."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from noteflow.domain.errors import InvalidValue

_DRIVERS = frozenset({"postgres", "postgresql", "postgresql+asyncpg"})
_SSL_MODES = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})
# What the driver's connect() takes from a URL's query, and libpq's words that mean the same.
_UNDERSTOOD = frozenset({"host", "port", "ssl", "sslmode", "user", "password", "database", "target_session_attrs"})


def normalise_database_url(url: str) -> URL:
    """The same database, as SQLAlchemy's asyncpg dialect spells it.

    Understands `postgres://`, `postgresql://` and `postgresql+asyncpg://`, and libpq's `sslmode=`. Raises InvalidValue,
    which names `database_url` and never holds the password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise InvalidValue("database_url", "is not a URL like postgresql://user@host/database") from None
    if parsed.drivername not in _DRIVERS:
        raise InvalidValue("database_url", f"must begin with postgresql://, not {parsed.drivername}://")
    if "@" in (parsed.database or ""):
        raise InvalidValue("database_url", "has an @ behind its host; in a password write @ as %40, / as %2F, # as %23")
    if strangers := sorted(set(parsed.query) - _UNDERSTOOD):
        raise InvalidValue("database_url", f"has a parameter that is not understood: {', '.join(strangers)}")
    return _with_ssl(parsed).set(drivername="postgresql+asyncpg")


def address_of(url: URL) -> str:
    """Where it leads: host, port and database, never the user or the password."""
    hosts, ports = url.query.get("host", url.host or "localhost"), url.query.get("port", str(url.port or ""))
    host = hosts if isinstance(hosts, str) else ",".join(hosts)
    port = ports if isinstance(ports, str) else ",".join(ports)
    return f"{host}{':' if port else ''}{port}/{url.database or ''}"


def _with_ssl(url: URL) -> URL:
    if "sslmode" not in url.query:
        return url
    mode = url.query["sslmode"]
    if mode not in _SSL_MODES:
        raise InvalidValue("database_url", f"sslmode must be one of {', '.join(sorted(_SSL_MODES))}")
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
