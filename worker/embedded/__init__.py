"""Real PostgreSQL and real Redis for the demo and the tests, on a machine that may have neither."""

from worker.embedded.binaries import Places
from worker.embedded.errors import BinaryMissing, EmbeddedServerError, ServerEnded, StartFailed
from worker.embedded.postgres import DISPOSABLE, EmbeddedPostgres
from worker.embedded.redis import EmbeddedRedis
from worker.embedded.servers import Servers, servers

__all__ = [
    "DISPOSABLE",
    "BinaryMissing",
    "EmbeddedPostgres",
    "EmbeddedRedis",
    "EmbeddedServerError",
    "Places",
    "ServerEnded",
    "Servers",
    "StartFailed",
    "servers",
]
