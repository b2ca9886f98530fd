"""A database URL is read as libpq reads it, or refused by the name of what is not understood."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from noteflow.domain.errors import InvalidValue
from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.persistence.urls import parse_database_url

GOOD: dict[str, dict[str, Any]] = {
    "postgresql://": {},
    "postgresql:///db": {"database": "db"},
    "postgresql://ada:s3cret@db.example:6432/notes": {
        "user": "ada", "password": "s3cret", "host": ["db.example"], "port": [6432], "database": "notes",
    },
    "postgresql://a%40b:p%2Fw%25%23@h/d%20b": {"user": "a@b", "password": "p/w%#", "host": ["h"], "database": "d b"},
    "postgresql://u:p@ss@h/db": {"user": "u", "password": "p@ss", "host": ["h"], "database": "db"},
    "postgresql://u:p#w@h/db": {"user": "u", "password": "p#w", "host": ["h"], "database": "db"},
    "postgresql://:5433/db": {"port": 5433, "database": "db"},
    "postgresql:///db?port=5433": {"port": 5433, "database": "db"},
    "postgresql:///db?host=/run/pg&port=5433": {"host": ["/run/pg"], "port": [5433], "database": "db"},
    "postgresql://u@%2Frun%2Fpg/db": {"user": "u", "host": ["/run/pg"], "database": "db"},
    "postgresql://u@%2Frun%2Fpg:5433/db": {"user": "u", "host": ["/run/pg"], "port": [5433], "database": "db"},
    "postgresql://h1,h2/db": {"host": ["h1", "h2"], "database": "db"},
    "postgresql://h1:1,h2,[::1]:3/db": {"host": ["h1", "h2", "::1"], "port": [1, 5432, 3], "database": "db"},
    "postgresql:///db?host=h1,h2&port=1,2": {"host": ["h1", "h2"], "port": [1, 2], "database": "db"},
    "postgresql:///db?host=h1,h2&port=7": {"host": ["h1", "h2"], "port": [7, 7], "database": "db"},
    "postgresql:///db?host=h1:1&host=h2:2": {"host": ["h1", "h2"], "port": [1, 2], "database": "db"},
    "postgresql:///db?host=::1": {"host": ["::1"], "database": "db"},
    "postgresql://wrong/db?host=right": {"host": ["right"], "database": "db"},
    "postgresql://u:p@h/db?user=v&password=a%2Bb+c&dbname=other": {
        "user": "v", "password": "a+b+c", "host": ["h"], "database": "other",
    },
    "postgresql://h/db?target_session_attrs=prefer-standby": {
        "host": ["h"], "database": "db", "target_session_attrs": "prefer-standby",
    },
    "postgresql://h/db?channel_binding=prefer&gssencmode=disable&sslnegotiation=postgres": {
        "host": ["h"], "database": "db",
    },
    "postgresql://h/db?ssl=true": {"host": ["h"], "database": "db", "dsn": "postgresql://?sslmode=require"},
    "postgresql://h/db?sslmode=require&ssl_min_protocol_version=TLSv1.3": {
        "host": ["h"], "database": "db", "dsn": "postgresql://?sslmode=require&ssl_min_protocol_version=TLSv1.3",
    },
}  # fmt: skip
BAD = {
    "": "is not a URL like postgresql://user@host/database",
    "s3cret": "is not a URL like",
    "host=h dbname=d password=s3cret": "holds a blank",
    "mysql://ada:s3cret@host/db": "must begin with postgresql://",
    "postgresql+psycopg://ada:s3cret@host/db": "must begin with postgresql://",
    "postgresql://ada:s3cret@host:port/db": "its port is no number",
    "postgresql://ada:s3cret@host:0/db": "its port is no number",
    "postgresql://ada:s3@s3cret/x#y@host/db": "has an @ behind its host",
    "postgresql://ada:s3cret?x@host/db": "has an @ behind its host",
    "postgresql://ada:s3cret%ff@host/db": "its password is not UTF-8",
    "postgresql://ada:s3cret%00@host/db": "holds a NUL",
    "postgresql://ada:s3cret\n@host/db": "holds a blank or a control character",
    "postgresql://ada:s3cret\udcff@host/db": "is not UTF-8",
    "postgresql://h1,,h2/db": "one of them without a name",
    "postgresql:///db?host=h1,h2&port=1,2,3": "names 2 hosts and 3 ports",
    "postgresql://h%20x/db": "its host is not",
    "postgresql://%40abstract/db": "its host is not",
    "postgresql://h/db?sslmode=maybe": "sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full",
    "postgresql://h/db?ssl=perhaps": "sslmode must be one of",
    "postgresql://h/db?target_session_attrs=master": "target_session_attrs must be one of any, primary, standby",
    "postgresql://h/db?channel_binding=require": "channel_binding=require cannot be done",
    "postgresql://h/db?channel_binding=x": "channel_binding must be one of",
    "postgresql://h/db?gssencmode=require": "gssencmode must be one of",
    "postgresql://h/db?sslnegotiation=direct": "sslnegotiation must be one of",
    "postgresql://h/db?ssl_min_protocol_version=SSLv3": "ssl_min_protocol_version must be one of",
    "postgresql://h/db?options=search_path%3Dx": "options must be like -c name=value",
    "postgresql://h/db?sslmode=verify-ca&sslrootcert=/no/r.crt": "sslrootcert names a file that cannot be read: /no/r",
    "postgresql://h/db?sslmode=require&sslrootcert=/dev/null": "sslrootcert names a file without a certificate",
    "postgresql://h/db?sslrootcert=system&sslmode=require": "sslrootcert=system needs sslmode=verify-full",
    "postgresql://h/db?sslcert=/no/client.crt": "sslcert names a file that cannot be read: /no/client.crt",
    "postgresql://h/db?sslcert=/dev/null&sslkey=/dev/null": "are not a certificate and its key",
    "postgresql://h/db?sslkey=/dev/null": "sslkey needs sslcert",
    "postgresql://h/db?sslcrl=/no/list.crl": "sslcrl names a file that cannot be read: /no/list.crl",
    "postgresql://h/db?passfile=/no/pgpass": "passfile names a file that cannot be read: /no/pgpass",
    "postgresql://h/db?sslmode=require&sslmode=disable": "gives sslmode twice",
}
OPTIONS_OF_LIBPQ = {
    "connect_timeout": "DATABASE_CONNECT_TIMEOUT_S", "application_name": "sets its own", "service": "into the URL",
    "hostaddr": "as the host", "client_encoding": "UTF-8", "fallback_application_name": "", "keepalives": "",
    "keepalives_idle": "", "tcp_user_timeout": "", "replication": "", "sslcompression": "", "sslcertmode": "",
    "sslcrldir": "", "sslsni": "", "requirepeer": "", "require_auth": "", "krbsrvname": "", "gsslib": "",
    "gssdelegation": "", "load_balance_hosts": "", "min_protocol_version": "", "scram_client_key": "",
    "prepared_statement_cache_size": "", "statement_cache_size": "", "pgbouncer": "", "lock_timeout": "",
}  # fmt: skip


@pytest.mark.parametrize(("url", "arguments"), GOOD.items(), ids=list(GOOD))
def test_what_libpq_understands_reaches_the_driver(url: str, arguments: dict[str, Any]) -> None:
    assert parse_database_url(url).connect_arguments() == arguments


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg", "POSTGRESQL"])
def test_every_spelling_of_postgresql_means_asyncpg(scheme: str) -> None:
    url = parse_database_url(f"{scheme}://ada:s3cret@db.example:6432/notes").url
    assert url.render_as_string(hide_password=False) == "postgresql+asyncpg://ada:s3cret@db.example:6432/notes"


@pytest.mark.parametrize(("url", "complaint"), BAD.items(), ids=[url[:60] for url in BAD])
def test_what_is_not_understood_is_refused_without_the_password(url: str, complaint: str) -> None:
    with pytest.raises(InvalidValue, match=r"^database_url: ") as refusal:
        parse_database_url(url)
    assert complaint in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(("name", "instead"), OPTIONS_OF_LIBPQ.items())
def test_a_parameter_that_is_not_understood_is_refused_by_its_name(name: str, instead: str) -> None:
    with pytest.raises(InvalidValue, match=rf"not understood: {name}\b") as refusal:
        parse_database_url(f"postgresql://h/db?{name}=1")
    assert instead in str(refusal.value)


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require"])
def test_sslmode_reaches_the_driver(mode: str) -> None:
    found = parse_database_url(f"postgres://host/db?sslmode={mode}").connect_arguments()
    assert found["dsn"] == f"postgresql://?sslmode={mode}"


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_a_mode_that_verifies_names_the_root_certificate_that_is_missing(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InvalidValue, match=rf"sslmode={mode} needs a root certificate, and {tmp_path}/.postgresql"):
        parse_database_url(f"postgres://host/db?sslmode={mode}")
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").touch()
    assert parse_database_url(f"postgres://host/db?sslmode={mode}").ssl_mode == mode


def test_the_systems_authorities_check_the_chain_and_the_name() -> None:
    context = parse_database_url("postgres://host/db?sslrootcert=system").connect_arguments()["ssl"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here to make a certificate with")
def test_the_files_of_a_certificate_reach_the_driver(tmp_path: Path) -> None:
    key, certificate = tmp_path / "client key.pem", tmp_path / "client+cert.pem"
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=x")
    command = ["openssl", "req", "-x509", *made, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    files = f"sslrootcert={certificate}&sslcert={certificate}&sslkey={str(key).replace(' ', '%20')}"
    dsn = parse_database_url(f"postgres://host/db?sslmode=verify-full&{files}").connect_arguments()["dsn"]
    assert "client%20key.pem" in dsn
    assert "client%2Bcert.pem" in dsn


def test_a_password_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    passfile = tmp_path / "pgpass"
    passfile.write_text("*:*:*:*:s3cret")
    passfile.chmod(0o644)
    with pytest.raises(InvalidValue, match="others may read"):
        parse_database_url(f"postgres://host/db?passfile={passfile}")
    passfile.chmod(0o600)
    assert parse_database_url(f"postgres://host/db?passfile={passfile}").passfile == str(passfile)


def test_options_are_for_the_server() -> None:
    address = parse_database_url("postgres://host/db?options=-c%20search_path%3Dnotes%20-c%20work_mem%3D8MB")
    assert address.server_settings() == {"options": "-c search_path=notes -c work_mem=8MB"}


async def test_nothing_shows_the_password() -> None:
    url = "postgresql://ada:s3cret@host/db?sslpassword=s3cret"
    engine = create_engine(url)
    assert "s3cret" not in repr(engine) + str(engine.url) + repr(parse_database_url(url))
    await engine.dispose()
