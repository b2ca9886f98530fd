"""Read a database URL as libpq does: the one reading that the worker, the commands and the migrations connect by.

Each of libpq's parameters is understood here or refused by its name, with what to write instead.
"""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from sqlalchemy import URL

from noteflow.domain.errors import InvalidValue
from noteflow.infrastructure.tls_files import check_authorities, check_pair
from noteflow.infrastructure.urls import UrlParts, check_file, check_host, check_one_of, decoded, port_in, split_url

_SETTING: Final = "database_url"
_SCHEMES: Final = ("postgresql", "postgres", "postgresql+asyncpg")
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SESSION_ATTRS: Final = ("any", "primary", "standby", "prefer-standby", "read-write", "read-only")
_TLS_VERSIONS: Final = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_TLS_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_TLS_OPTIONS: Final = (*_TLS_FILES, "sslpassword", "ssl_min_protocol_version", "ssl_max_protocol_version")
_UNDERSTOOD: Final = frozenset({
    "host", "port", "user", "password", "dbname", "database", "passfile", "options", "target_session_attrs",
    "sslmode", "ssl", "channel_binding", "gssencmode", "sslnegotiation", *_TLS_OPTIONS,
})  # fmt: skip
_INSTEAD: Final = {
    "connect_timeout": "set DATABASE_CONNECT_TIMEOUT_S",
    "application_name": "each program of ours sets its own",
    "fallback_application_name": "each program of ours sets its own",
    "service": "write its host, user and database into the URL",
    "hostaddr": "write the address as the host",
    "client_encoding": "it is always UTF-8",
}
SYSTEM_ROOTS: Final = "system"
"""The `sslrootcert` that means the authorities which the operating system trusts."""


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Servers, a database on them, and how to log in. What is None is left to the driver, which reads PG… variables.

    `tls` are libpq's parameters of those names. A host that begins with a slash is the folder of a socket.
    """

    hosts: tuple[tuple[str, int | None], ...] = ()
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    passfile: str | None = None
    options: str | None = None
    target_session_attrs: str | None = None
    ssl_mode: str | None = None
    tls: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def url(self) -> URL:
        """The same as SQLAlchemy names it, to be shown: the driver is given `connect_arguments`."""
        host: str | None = ",".join(f"{host}:{port}" if port else host for host, port in self.hosts) or None
        port, query = self.port, {}
        if len(self.hosts) == 1:
            host, port = self.hosts[0]
            if host.startswith("/"):
                query = {"host": host, **({"port": str(port)} if port else {})}
                host = port = None
        return URL.create("postgresql+asyncpg", self.user, self.password, host, port, self.database, query)

    def connect_arguments(self) -> dict[str, Any]:
        """The arguments of the driver's connect(), but for `server_settings`."""
        found: dict[str, Any] = {
            "user": self.user,
            "password": self.password,
            "database": self.database,
            "passfile": self.passfile,
            "target_session_attrs": self.target_session_attrs,
            **self._places(),
            **self._encryption(),
        }
        return {name: value for name, value in found.items() if value is not None}

    def server_settings(self) -> dict[str, str]:
        """The settings of a session that the URL asks for: `options`, which the server itself takes apart."""
        return {"options": self.options} if self.options else {}

    def _places(self) -> dict[str, Any]:
        if not self.hosts:
            return {"port": self.port}
        hosts = [host for host, _ in self.hosts]
        if all(port is None for _, port in self.hosts):
            return {"host": hosts}  # the driver looks at PGPORT
        return {"host": hosts, "port": [port or 5432 for _, port in self.hosts]}

    def _encryption(self) -> dict[str, Any]:
        tls = dict(self.tls)
        if tls.get("sslrootcert") == SYSTEM_ROOTS:  # which the driver would take for the name of a file
            context = ssl.create_default_context()
            if "sslcert" in tls:
                context.load_cert_chain(tls["sslcert"], tls.get("sslkey"), tls.get("sslpassword", ""))
            return {"ssl": context}
        query = {**({"sslmode": self.ssl_mode} if self.ssl_mode else {}), **tls}
        # The driver takes files only this way.
        return {"dsn": f"postgresql://?{urlencode(query, quote_via=quote)}"} if query else {}


def parse_database_url(url: str) -> DatabaseAddress:
    """Read `postgres://`, `postgresql://` and `postgresql+asyncpg://`, with libpq's parameters.

    Raises InvalidValue, which names `database_url` and never holds the password. The files that it names are read.
    """
    try:
        parts = split_url(_SETTING, url, plus_is_blank=False)
    except InvalidValue as error:
        if error.complaint.startswith("is not a URL"):
            raise InvalidValue(_SETTING, "is not a URL like postgresql://user@host/database") from None
        raise
    if parts.scheme not in _SCHEMES:
        raise InvalidValue(_SETTING, "must begin with postgresql://")
    options = _options(parts)
    hosts, port = _hosts(options.get("host", ""), options.get("port", ""), parts.hosts)
    address = DatabaseAddress(
        hosts,
        port,
        options.get("user") or parts.username,
        options.get("password") or parts.password,
        options.get("dbname") or options.get("database") or decoded(_SETTING, "database", parts.path[1:]) or None,
        options.get("passfile"),
        options.get("options"),
        options.get("target_session_attrs"),
        options.get("sslmode"),
        tuple((name, options[name]) for name in _TLS_OPTIONS if name in options),
    )
    _check_passfile(address)
    return _with_tls_checked(address)


def address_of(url: URL) -> str:
    """Where it leads: host, port and database, never the user or the password."""
    hosts, ports = url.query.get("host", url.host or "localhost"), url.query.get("port", str(url.port or ""))
    host = hosts if isinstance(hosts, str) else ",".join(hosts)
    port = ports if isinstance(ports, str) else ",".join(ports)
    return f"{host}{':' if port else ''}{port}/{url.database or ''}"


def _options(parts: UrlParts) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parts.query:
        if name not in _UNDERSTOOD:
            instead = f"; {_INSTEAD[name]}" if name in _INSTEAD else ""
            raise InvalidValue(_SETTING, f"has a parameter that is not understood: {name}{instead}")
        if name == "host" and name in options:  # as SQLAlchemy spells several
            options[name] += f",{value}"
        elif name in options:
            raise InvalidValue(_SETTING, f"gives {name} twice")
        else:
            options[name] = value
    options = {name: value for name, value in options.items() if value}
    _check_values(options)
    return options


def _check_values(options: dict[str, str]) -> None:
    if (mode := options.pop("ssl", None)) is not None:  # the driver's own word, and JDBC's ssl=true
        options.setdefault("sslmode", "require" if mode == "true" else mode)
    allowed = {
        "sslmode": _SSL_MODES,
        "target_session_attrs": _SESSION_ATTRS,
        "ssl_min_protocol_version": _TLS_VERSIONS,
        "ssl_max_protocol_version": _TLS_VERSIONS,
        "channel_binding": ("disable", "prefer", "require"),
        "gssencmode": ("disable", "prefer"),
        "sslnegotiation": ("postgres",),
    }
    for name, values in allowed.items():
        if name in options:
            check_one_of(_SETTING, name, options[name], values)
    if options.get("channel_binding") == "require":
        instead = "write channel_binding=prefer, and sslmode=verify-full, which checks the server's certificate"
        raise InvalidValue(_SETTING, f"channel_binding=require cannot be done by the driver; {instead}")
    if "options" in options and not options["options"].lstrip().startswith("-"):
        raise InvalidValue(_SETTING, "options must be like -c name=value, percent-encoded: -c%20name%3Dvalue")


def _hosts(named: str, ports: str, authority: str) -> tuple[tuple[tuple[str, int | None], ...], int | None]:
    """The hosts with their ports; and the port of the default host, if none is named."""
    pieces = named.split(",") if named else [decoded(_SETTING, "host", piece) for piece in authority.split(",")]
    found = [_host(piece) for piece in pieces]
    numbers = [port_in(_SETTING, port) if port else None for port in ports.split(",")] if ports else []
    if len(numbers) not in (0, 1, len(found)):
        raise InvalidValue(_SETTING, f"names {len(found)} hosts and {len(numbers)} ports")
    if numbers:
        given = numbers * len(found) if len(numbers) == 1 else numbers
        found = [(host, number or own) for (host, own), number in zip(found, given, strict=True)]
    if len(found) > 1 and any(not host for host, _ in found):
        raise InvalidValue(_SETTING, "names several hosts, one of them without a name")
    if not found[0][0]:
        return (), found[0][1]
    return tuple(found), None


def _host(piece: str) -> tuple[str, int | None]:
    """A host, an address or a socket's folder, with its own port if it has one."""
    if piece.startswith("/"):
        folder, colon, port = piece.rpartition(":")
        if colon and port.isdigit():
            return folder, port_in(_SETTING, port)
        return piece, None
    if bracketed := re.fullmatch(r"\[([^\[\]]+)\](?::(.*))?", piece):
        return check_host(_SETTING, bracketed[1]), port_in(_SETTING, bracketed[2]) if bracketed[2] else None
    if piece.count(":") > 1:
        return check_host(_SETTING, piece), None  # an address of IPv6, as host= takes it
    host, _, port = piece.partition(":")
    return check_host(_SETTING, host) if host else "", port_in(_SETTING, port) if port else None


def _check_passfile(address: DatabaseAddress) -> None:
    if address.passfile is None:
        return
    path = check_file(_SETTING, "passfile", address.passfile)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise InvalidValue(_SETTING, f"passfile names a file that others may read: {path}; chmod 600 it")


def _with_tls_checked(address: DatabaseAddress) -> DatabaseAddress:
    tls = dict(address.tls)
    if tls.get("sslrootcert") == SYSTEM_ROOTS:
        if address.ssl_mode not in (None, "verify-full"):
            raise InvalidValue(_SETTING, "sslrootcert=system needs sslmode=verify-full")
        address = replace(address, ssl_mode="verify-full")
    elif address.ssl_mode in ("verify-ca", "verify-full") and "sslrootcert" not in tls:
        _check_default_root(address.ssl_mode)
    for option in ("sslrootcert", "sslcrl"):
        if option in tls and tls[option] != SYSTEM_ROOTS:
            check_authorities(_SETTING, option, tls[option])
    if "sslcert" in tls:
        key = ("sslkey", tls["sslkey"]) if "sslkey" in tls else ("sslcert", tls["sslcert"])
        check_pair(_SETTING, ("sslcert", tls["sslcert"]), key, tls.get("sslpassword", ""))
    elif "sslkey" in tls:
        raise InvalidValue(_SETTING, "sslkey needs sslcert")
    return address


def _check_default_root(mode: str) -> None:
    try:
        path = Path(os.environ.get("PGSSLROOTCERT") or Path.home() / ".postgresql" / "root.crt")
    except RuntimeError:  # this user has no home
        path = Path("~/.postgresql/root.crt")
    if not path.is_file():
        ways = "name the file of the authority by sslrootcert=, or write sslrootcert=system"
        raise InvalidValue(_SETTING, f"sslmode={mode} needs a root certificate, and {path} does not exist; {ways}")
