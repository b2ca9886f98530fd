"""What a person does next about a server that does not do what it is asked."""

from __future__ import annotations

from typing import Final

from noteflow.infrastructure.persistence.faults import READ_ONLY, causes, sqlstate_of
from noteflow.infrastructure.queue.unavailable import wants_another_certificate, wants_credentials

START_POSTGRESQL: Final = "start it, or mend DATABASE_URL"
PAST_THE_POOLER: Final = "point DATABASE_URL at PostgreSQL itself, past the pooler"
_BY_SQLSTATE: Final = {
    "08P01": PAST_THE_POOLER,
    "26000": PAST_THE_POOLER,
    "42P05": PAST_THE_POOLER,
    READ_ONLY: "point DATABASE_URL at the primary",
    "28P01": "mend the user or the password in DATABASE_URL",
    "28000": "mend the user in DATABASE_URL, or let it in (pg_hba.conf)",
    "3D000": "create the database, or mend its name in DATABASE_URL",
    "53100": "make room on its disk",
    "53200": "look at its machine: what takes the memory?",
    "53300": "stop what need not be connected (as a superuser: SELECT application_name, state, count(*) FROM"
    " pg_stat_activity GROUP BY 1, 2), or raise max_connections",
    "55P03": "see postgresql locks",
    "57P03": "wait; if that does not help look at its log",
}
_HANGS: Final = "it hangs, or its machine, or the network swallows what is sent: look there before it is restarted"


_TLS: Final = (
    "connect by a name that is in its certificate, and name the certificate of its authority by ssl_ca_certs= in"
    " REDIS_URL; a server without TLS has a URL that begins with redis://"
)


def postgresql_cure(error: Exception) -> str:
    """For what a question to PostgreSQL ended with."""
    if (state := sqlstate_of(error)) in _BY_SQLSTATE:
        return _BY_SQLSTATE[state]
    chain = list(causes(error))
    if any(type(link).__name__ == "TargetServerAttributeNotMatched" for link in chain):
        return _BY_SQLSTATE[READ_ONLY]
    return _HANGS if any(_is_timeout(link) for link in chain) else START_POSTGRESQL


def redis_cure(error: Exception) -> str:
    """For what a question to Redis ended with."""
    if any(wants_credentials(link) for link in causes(error)):
        return "mend the user or the password in REDIS_URL"
    if wants_another_certificate(error):
        return _TLS
    return _HANGS if any(_is_timeout(link) for link in causes(error)) else "start it, or mend REDIS_URL"


def _is_timeout(link: BaseException) -> bool:
    return isinstance(link, TimeoutError) or type(link).__name__ == "TimeoutError"  # redis-py has one of its own
