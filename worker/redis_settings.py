"""REDIS_URL as Arq is told of it: by the reading that everything else connects by, and not by Arq's own."""

from __future__ import annotations

from arq.connections import RedisSettings

from noteflow.infrastructure.queue.urls import RedisTls, parse_redis_url


class QuietRedisSettings(RedisSettings):
    """Arq's settings, which do not show their password."""

    def __repr__(self) -> str:
        return f"RedisSettings({self.unix_socket_path or f'{self.host}:{self.port}'}, database={self.database})"


def redis_settings(url: str) -> RedisSettings:
    """Return what Arq's `create_pool`, a worker of Arq's and ours connect by. Raises InvalidValue."""
    address = parse_redis_url(url)
    tls = address.tls or RedisTls()
    return QuietRedisSettings(
        host=address.host,
        port=address.port,
        unix_socket_path=address.socket,
        database=address.database,
        username=address.username,
        password=address.password,
        ssl=address.tls is not None,
        ssl_cert_reqs="required" if tls.verify else "none",
        ssl_check_hostname=tls.check_host_name,
        ssl_ca_certs=tls.ca_file,
        ssl_ca_data=tls.ca_data,
        ssl_certfile=tls.certificate_file,
        ssl_keyfile=tls.key_file,
    )
