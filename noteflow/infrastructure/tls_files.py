"""Read the certificates and keys that a URL names before anything connects, so that a wrong one is named."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from noteflow.domain.errors import InvalidValue
from noteflow.infrastructure.urls import check_file


def check_authorities(setting: str, option: str, name: str) -> None:
    """Raise InvalidValue unless `name` is a file of certificates, or of revoked ones, in PEM."""
    path = check_file(setting, option, name)
    with _refused_as(setting, f"{option} names a file without a certificate in PEM: {path}"):
        _context().load_verify_locations(path)


def check_authorities_text(setting: str, option: str, text: str) -> None:
    """Raise InvalidValue unless `text` is a certificate in PEM."""
    with _refused_as(setting, f"{option} is no certificate in PEM"):
        _context().load_verify_locations(cadata=text)


def check_pair(setting: str, certificate: tuple[str, str], key: tuple[str, str], pass_phrase: str = "") -> None:
    """Raise InvalidValue unless two options, each with the file it names, are a certificate and its key in PEM."""
    certificate_file, key_file = check_file(setting, *certificate), check_file(setting, *key)
    pair = f"{certificate[0]} {certificate_file} and {key[0]} {key_file}"
    protected = "" if pass_phrase else ", in PEM and without a pass phrase"

    def given() -> str:
        # Without this OpenSSL would ask for a pass phrase at the terminal, in the middle of a worker.
        if not pass_phrase:
            raise ValueError("the key has a pass phrase")
        return pass_phrase

    with _refused_as(setting, f"{pair} are not a certificate and its key{protected}"):
        _context().load_cert_chain(certificate_file, key_file, password=given)


def _context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@contextmanager
def _refused_as(setting: str, complaint: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError):  # an SSLError is an OSError
        raise InvalidValue(setting, complaint) from None
