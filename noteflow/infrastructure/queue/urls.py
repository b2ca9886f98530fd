"""Read a Redis URL: the one reading that the worker, the client, the commands and the benchmarks connect by.

Each option is understood here or refused by its name. redis-py and Arq would read the same URL in two ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio import Connection, ConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection

from noteflow.domain.errors import InvalidValue
from noteflow.infrastructure.tls_files import check_authorities, check_authorities_text, check_pair
from noteflow.infrastructure.urls import (
    HOW_TO_ESCAPE,
    UrlParts,
    check_host,
    check_one_of,
    decoded,
    port_in,
    split_url,
)

_HOST: Final = "localhost"
_PORT: Final = 6379
_TLS_OPTIONS: Final = (
    "ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "ssl_ca_data", "ssl_certfile", "ssl_keyfile",
)  # fmt: skip
_UNDERSTOOD: Final = frozenset({"db", "username", "password", *_TLS_OPTIONS})
_LIMITS_OF_OURS: Final = frozenset({
    "socket_timeout", "socket_connect_timeout", "timeout", "retry", "retry_on_timeout", "retry_on_error",
    "max_connections", "health_check_interval", "socket_keepalive", "protocol",
})  # fmt: skip
"""What our programs decide for each of their connections: a worker depends on it."""

_CERT_REQS: Final = {
    "required": True, "optional": True, "none": False,  # to a client, OpenSSL's "optional" is "required"
    "CERT_REQUIRED": True, "CERT_OPTIONAL": True, "CERT_NONE": False,
}  # fmt: skip
_BOOLEANS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class RedisTls:
    """How a server proves who it is, and we to it. By default its chain and its name are both checked."""

    verify: bool = True
    check_host_name: bool = True
    ca_file: str | None = None
    ca_data: str | None = field(default=None, repr=False)
    certificate_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A server and a database on it, and how to log in. With `socket` the host and the port do not matter."""

    host: str = _HOST
    port: int = _PORT
    socket: str | None = None
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: RedisTls | None = None

    @property
    def unverified(self) -> str | None:
        """What of the server's certificate is not checked, with the option that says so; None if all is."""
        if self.tls is None or (self.tls.verify and self.tls.check_host_name):
            return None
        if not self.tls.verify:
            return "the server's certificate is not checked (ssl_cert_reqs=none)"
        return "the name in the server's certificate is not checked (ssl_check_hostname=false)"

    def connection_arguments(self) -> dict[str, Any]:
        """The arguments of a redis-py pool that leads there."""
        login = {"db": self.database, "username": self.username, "password": self.password}
        if self.socket is not None:
            return {"connection_class": UnixDomainSocketConnection, "path": self.socket, **login}
        place = {"host": self.host, "port": self.port, **login}
        if self.tls is None:
            return {"connection_class": Connection, **place}
        return {
            "connection_class": SSLConnection,
            **place,
            "ssl_cert_reqs": "required" if self.tls.verify else "none",
            "ssl_check_hostname": self.tls.check_host_name,
            "ssl_ca_certs": self.tls.ca_file,
            "ssl_ca_data": self.tls.ca_data,
            "ssl_certfile": self.tls.certificate_file,
            "ssl_keyfile": self.tls.key_file,
        }


def open_redis(url: str, *, timeout_s: float, connect_timeout_s: float | None = None) -> Redis:
    """Return a client of `url`, connected to nothing yet, no answer of which is waited for longer than `timeout_s`."""
    pool = ConnectionPool(
        **parse_redis_url(url).connection_arguments(),
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s if connect_timeout_s is None else connect_timeout_s,
    )
    return Redis.from_pool(pool)


def parse_redis_url(url: str, setting: str = "url") -> RedisAddress:
    """Read a redis://, rediss:// or unix:// URL. Raises InvalidValue, which names `setting` and holds no password.

    The files that it names are read, so that a wrong one is named before anything connects.
    """
    parts = split_url(setting, url, plus_is_blank=True)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise InvalidValue(setting, "must begin with redis://, rediss:// or unix://")
    if "#" in url:
        raise InvalidValue(setting, f"has a # in it; {HOW_TO_ESCAPE}")
    options = _options(setting, parts)
    login: dict[str, Any] = {
        "username": parts.username or options.get("username") or None,
        "password": parts.password or options.get("password") or None,
    }
    if parts.scheme == "unix":
        return RedisAddress(socket=_socket(setting, parts), database=_database(setting, options.get("db", "")), **login)
    host, port = _host_and_port(setting, parts.hosts)
    database = _database(setting, options.get("db") or _database_in(setting, parts.path))
    tls = _tls(setting, options) if parts.scheme == "rediss" else None
    return RedisAddress(host, port, database=database, tls=tls, **login)


def _options(setting: str, parts: UrlParts) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parts.query:
        if name in _LIMITS_OF_OURS:
            raise InvalidValue(setting, f"cannot set {name}: each connection of this program has limits of its own")
        if name not in _UNDERSTOOD:
            raise InvalidValue(setting, f"has an option that is not understood: {name}")
        if name in options:
            raise InvalidValue(setting, f"gives {name} twice")
        if name in _TLS_OPTIONS and parts.scheme != "rediss":
            raise InvalidValue(setting, f"{name} is for rediss:// only, and this is {parts.scheme}://")
        options[name] = value
    return options


def _socket(setting: str, parts: UrlParts) -> str:
    if parts.hosts or len(parts.path) < 2:
        raise InvalidValue(setting, "must name a socket by its whole path, as in unix:///run/redis.sock?db=0")
    return decoded(setting, "path", parts.path)


def _host_and_port(setting: str, hosts: str) -> tuple[str, int]:
    bracketed = re.fullmatch(r"\[([^\[\]]+)\](?::(.*))?", hosts)
    host, port = (bracketed[1], bracketed[2] or "") if bracketed else hosts.partition(":")[::2]
    number = port_in(setting, port) if port else _PORT
    return check_host(setting, decoded(setting, "host", host) or _HOST), number


def _database_in(setting: str, path: str) -> str:
    found = re.fullmatch(r"/?([^/]*)/?", path)
    if found is None or (found[1] and not found[1].isascii()):
        raise InvalidValue(setting, f"after the host comes the number of a database, as in /0; {HOW_TO_ESCAPE}")
    return decoded(setting, "database", found[1])


def _database(setting: str, text: str) -> int:
    if text and not re.fullmatch(r"[0-9]{1,9}", text):
        raise InvalidValue(setting, f"after the host comes the number of a database, as in /0; {HOW_TO_ESCAPE}")
    return int(text or 0)


def _tls(setting: str, options: dict[str, str]) -> RedisTls:
    requirement = options.get("ssl_cert_reqs") or "required"
    verify = _CERT_REQS[check_one_of(setting, "ssl_cert_reqs", requirement, tuple(_CERT_REQS))]
    check_name = _boolean(setting, "ssl_check_hostname", options.get("ssl_check_hostname", ""))
    if check_name and not verify:
        raise InvalidValue(setting, "ssl_check_hostname=true needs ssl_cert_reqs=required")
    tls = RedisTls(
        verify=verify,
        check_host_name=verify if check_name is None else check_name,
        ca_file=options.get("ssl_ca_certs") or None,
        ca_data=options.get("ssl_ca_data") or None,
        certificate_file=options.get("ssl_certfile") or None,
        key_file=options.get("ssl_keyfile") or None,
    )
    _check_files(setting, tls)
    return tls


def _boolean(setting: str, option: str, text: str) -> bool | None:
    if not text:
        return None
    return _BOOLEANS[check_one_of(setting, option, text.lower(), tuple(_BOOLEANS))]


def _check_files(setting: str, tls: RedisTls) -> None:
    if tls.ca_file is not None:
        check_authorities(setting, "ssl_ca_certs", tls.ca_file)
    if tls.ca_data is not None:
        check_authorities_text(setting, "ssl_ca_data", tls.ca_data)
    if (tls.certificate_file is None) != (tls.key_file is None):
        raise InvalidValue(setting, "ssl_certfile and ssl_keyfile must be given together")
    if tls.certificate_file is not None and tls.key_file is not None:
        check_pair(setting, ("ssl_certfile", tls.certificate_file), ("ssl_keyfile", tls.key_file))
