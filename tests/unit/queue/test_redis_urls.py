"""A Redis URL is read in one way, and what is not understood is refused by its name, without a piece of a password."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from arq.connections import create_pool
from redis.asyncio import SSLConnection, UnixDomainSocketConnection

from noteflow.domain.errors import InvalidValue
from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.urls import RedisAddress, RedisTls, open_redis, parse_redis_url
from worker.redis_settings import redis_settings

GOOD = {
    "redis://host": RedisAddress("host"),
    "redis://host/": RedisAddress("host"),
    "redis://host/3/": RedisAddress("host", database=3),
    "redis://host?db=4": RedisAddress("host", database=4),
    "redis://host/3?db=4": RedisAddress("host", database=4),
    "redis://host?db=": RedisAddress("host"),
    "redis://": RedisAddress("localhost"),
    " redis://host:7\n": RedisAddress("host", 7),
    "REDIS://host": RedisAddress("host"),
    "redis://[::1]:7/2": RedisAddress("::1", 7, database=2),
    "redis://:p%40ss%2Fw%25rd@127.0.0.1:16380/0": RedisAddress("127.0.0.1", 16380, password="p@ss/w%rd"),
    "redis://us%3Aer:p@ss@host": RedisAddress("host", username="us:er", password="p@ss"),
    "redis://:100%@host": RedisAddress("host", password="100%"),
    "redis://host?username=ada&password=a%2Bb": RedisAddress("host", username="ada", password="a+b"),
    "redis://:first@host?password=second": RedisAddress("host", password="first"),
    "unix:///run/r.sock": RedisAddress(socket="/run/r.sock"),
    "unix://ada:pw@/run/a%20b?db=2": RedisAddress(socket="/run/a b", database=2, username="ada", password="pw"),
    "unix:///run/r.sock?password=pw": RedisAddress(socket="/run/r.sock", password="pw"),
    "rediss://host": RedisAddress("host", tls=RedisTls()),
    "rediss://u:p@host:1/2?ssl_cert_reqs=none": RedisAddress(
        "host", 1, database=2, username="u", password="p", tls=RedisTls(verify=False, check_host_name=False)
    ),
    "rediss://host?ssl_cert_reqs=CERT_REQUIRED&ssl_check_hostname=yes": RedisAddress("host", tls=RedisTls()),
    "rediss://host?ssl_check_hostname=false": RedisAddress("host", tls=RedisTls(check_host_name=False)),
}
BAD = {
    "": "is not a URL",
    "host:6379": "is not a URL",
    "http://host": "must begin with redis://",
    "redis+sentinel://host": "must begin with redis://",
    "redis://host/notadb": "number of a database",
    "redis://host/-1": "number of a database",
    "redis://host/1/2": "number of a database",
    "redis://host/٣": "number of a database",
    "redis://host?db=x": "number of a database",
    f"redis://host/{'9' * 5000}": "is longer than",
    "redis://host:port/0": "its port is no number",
    "redis://host:0": "its port is no number",
    "redis://host:99999": "its port is no number",
    "redis://ho st": "holds a blank or a control character",
    "redis://:s3cret\x00@host": "holds a blank or a control character",
    "redis://:s3cret%00@host": "its password holds a NUL",
    "redis://:s3cret%ff@host": "its password is not UTF-8",
    "redis://:s3cret\udcff@host": "is not UTF-8",
    "redis://:s3@s3cret/x#y@host/0": "has an @ behind its host",
    "redis://:s3@s3cret/x@host": "has an @ behind its host",
    "redis://:6379?s3cret@host": "has an @ behind its host",
    "redis://:s3cret?x@host": "has an @ behind its host",
    "redis://:s3cret#x@host": "has a # in it",
    "redis://host?s3cret%20": "not made of name=value pairs",
    "redis://h%20ost": "its host is not",
    "redis://a,b": "its host is not",
    f"redis://{'a' * 64}": "its host is not",
    "unix://run/r.sock": "must name a socket by its whole path",
    "unix://": "must name a socket by its whole path",
    "redis://host?db=1&db=2": "gives db twice",
    "redis://host?ssl_ca_certs=/x": "ssl_ca_certs is for rediss:// only",
    "unix:///r.sock?ssl_cert_reqs=none": "ssl_cert_reqs is for rediss:// only",
    "rediss://host?ssl_cert_reqs=maybe": "ssl_cert_reqs must be one of",
    "rediss://host?ssl_check_hostname=perhaps": "ssl_check_hostname must be one of",
    "rediss://host?ssl_cert_reqs=none&ssl_check_hostname=true": "ssl_check_hostname=true needs",
    "rediss://host?ssl_ca_certs=/no/such/ca.pem": "ssl_ca_certs names a file that cannot be read: /no/such/ca.pem",
    "rediss://host?ssl_ca_certs=/dev/null": "ssl_ca_certs names a file without a certificate",
    "rediss://host?ssl_ca_data=nonsense": "ssl_ca_data is no certificate",
    "rediss://host?ssl_certfile=/dev/null": "must be given together",
    "rediss://host?ssl_certfile=/dev/null&ssl_keyfile=/dev/null": "ssl_certfile /dev/null and ssl_keyfile /dev/null",
}
OPTIONS_OF_REDIS_PY = [
    "socket_timeout", "socket_connect_timeout", "socket_keepalive", "retry_on_timeout", "max_connections",
    "health_check_interval", "timeout", "protocol", "client_name", "lib_name", "lib_version", "encoding",
    "encoding_errors", "decode_responses", "socket_read_size", "ssl_min_version", "ssl_ciphers", "retry",
    "retry_on_error", "sentinel", "sentinel_master", "credential_provider", "connection_class", "host", "port", "path",
]  # fmt: skip


@pytest.mark.parametrize(("url", "address"), GOOD.items(), ids=list(GOOD))
def test_what_names_a_server_and_a_database_is_understood(url: str, address: RedisAddress) -> None:
    assert parse_redis_url(url) == address


@pytest.mark.parametrize(("url", "complaint"), BAD.items(), ids=[url[:40] for url in BAD])
def test_what_is_unclear_is_refused_without_a_piece_of_a_password(url: str, complaint: str) -> None:
    with pytest.raises(InvalidValue, match=r"^url: ") as refusal:
        JobClient.from_url(url)
    assert complaint in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize("option", OPTIONS_OF_REDIS_PY)
@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_an_option_that_is_not_ours_is_refused_by_its_name(option: str, scheme: str) -> None:
    with pytest.raises(InvalidValue, match=rf"\b{option}\b"):
        parse_redis_url(f"{scheme}://host?{option}=2")


@pytest.mark.parametrize("url", GOOD)
async def test_the_worker_connects_by_the_same_arguments_as_everything_else(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ping(_: Any) -> None:
        return

    monkeypatch.setattr("arq.connections.ArqRedis.ping", ping)
    of_worker = (await create_pool(redis_settings(url))).connection_pool
    others = [open_redis(url, timeout_s=1).connection_pool, JobClient.from_url(url)._redis.connection_pool]
    for other in others:
        assert of_worker.connection_class is other.connection_class
        assert _login(of_worker.connection_kwargs) == _login(other.connection_kwargs)


def _login(arguments: dict[str, Any]) -> dict[str, Any]:
    named = ("host", "port", "path", "db", "username", "password")
    kept = {name: value for name, value in arguments.items() if name in named or name.startswith("ssl_")}
    return {name: value for name, value in kept.items() if value is not None}


def test_tls_checks_the_chain_and_the_name_unless_it_is_told_not_to() -> None:
    sound = parse_redis_url("rediss://host")
    assert sound.connection_arguments()["connection_class"] is SSLConnection
    assert sound.unverified is None
    assert parse_redis_url("redis://host").unverified is None
    assert "ssl_cert_reqs=none" in str(parse_redis_url("rediss://host?ssl_cert_reqs=none").unverified)
    assert "ssl_check_hostname" in str(parse_redis_url("rediss://host?ssl_check_hostname=0").unverified)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here to make a certificate with")
def test_a_key_with_a_pass_phrase_is_refused_and_never_asked_for(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-passout", "pass:secret", "-days", "2")
    where = ("-subj", "/CN=x", "-keyout", str(key), "-out", str(certificate))
    subprocess.run(["openssl", "req", "-x509", *made, *where], check=True, capture_output=True)
    with pytest.raises(InvalidValue, match="without a pass phrase"):
        parse_redis_url(f"rediss://host?ssl_certfile={certificate}&ssl_keyfile={key}")


def test_nothing_shows_the_password() -> None:
    for url in ("redis://ada:s3cret@host/0", "rediss://:s3cret@host", "unix://:s3cret@/run/r.sock"):
        shown = [parse_redis_url(url), redis_settings(url), open_redis(url, timeout_s=1), JobClient.from_url(url)]
        assert "s3cret" not in "".join(map(repr, shown)) + "".join(map(str, shown))
    assert redis_settings("unix:///r.sock").unix_socket_path == "/r.sock"
    unix = parse_redis_url("unix:///r.sock").connection_arguments()
    assert unix["connection_class"] is UnixDomainSocketConnection
