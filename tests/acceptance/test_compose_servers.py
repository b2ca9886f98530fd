"""The real server takes what docker-compose.yml tells it. (The containers themselves need a Docker daemon.)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis import Redis

from tests.unit.ops.files import services

if TYPE_CHECKING:
    from tests.conftest import OwnRedis


def test_valkey_starts_with_the_options_of_compose_and_means_them(own_redis: OwnRedis) -> None:
    server, *words = services()["valkey"]["command"]
    options = {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}

    with Redis.from_url(own_redis(settings=options).url(), decode_responses=True) as redis:
        in_force = {name: redis.config_get(name)[name] for name in options}

    assert server == "valkey-server"
    assert in_force == {**options, "maxmemory": str(1 << 30)}
