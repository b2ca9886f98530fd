"""Read the whole of Redis, and let time pass in it.

The scripts go by the server's clock, and no server lets a test set that. But all they do with a time is to compare it
with now, or with another that is stored in the same place. So when time is to pass, every stored time moves back by
that much, and so does the place that a worker remembers of its claim; every key's life grows shorter by it, and what
has none left is deleted, as the server would have done. Nobody can tell the difference.

The *story's* time is the server's and all that was skipped in this way. The milliseconds that a test really takes are
taken off at each leap, so that they never add up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from noteflow.infrastructure.queue import keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis import Redis

    from worker.engine.claims import Claim

# The first moment that is taken for a time; a smaller score is a place in line, as `Job.abort()` gives one.
TIMES_FROM_MS: Final = 10**12

_CLOCK: Final = """
local clock, by = redis.call('TIME'), 0
"""

_READ: Final = """
local told = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind, value = redis.call('TYPE', key).ok, nil
  if kind == 'string' then value = redis.call('GET', key)
  elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'hash' then value = redis.call('HGETALL', key)
  else value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end
  told[#told + 1] = { key, kind, value, redis.call('PTTL', key) }
end
return { clock[1] * 1000 + math.floor(clock[2] / 1000), told, by }
"""

_LEAP: Final = """
by = ARGV[1] - clock[1] * 1000 - math.floor(clock[2] / 1000)
local shelves, width, times = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
for _, key in ipairs(redis.call('KEYS', '*')) do
  if redis.call('TYPE', key).ok == 'zset' then
    local all = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for i = 1, #all, 2 do
      local score = tonumber(all[i + 1])
      if (score >= shelves and (score - shelves) % width or score) >= times then
        redis.call('ZADD', key, string.format('%.1f', score - by), all[i])
      end
    end
  elseif string.find(key, '^arq:unknown:') then
    redis.call('SET', key, string.format('%.0f', redis.call('GET', key) - by), 'KEEPTTL')
  end
  local life = redis.call('PTTL', key)
  if life >= 0 then
    if life > by then
      redis.call('PEXPIRE', key, string.format('%.0f', life - by))
    else
      redis.call('DEL', key)
    end
  end
end
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """Be one key: its value, and the moment of the story at which it ends, None if it has no end."""

    value: Any
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """Be all that Redis held at one moment of the story; every time in it is one of the story's."""

    now: float
    entries: dict[str, Entry] = field(default_factory=dict)

    def zset(self, key: str) -> dict[str, float]:
        """Return a sorted set's members and their scores."""
        return self.entries[key].value if key in self.entries else {}


class Story:
    """Be the clock of the story, and the view of Redis in its time."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._skipped = 0
        self._read = redis.register_script(_CLOCK + _READ)
        self._leap = redis.register_script(_CLOCK + _LEAP + _READ)
        self.seen = self.look()
        """All that there was when the last leap had ended."""

    @property
    def now(self) -> float:
        """Return when the last leap ended: the moment at which the story is, but for what the test takes itself."""
        return self.seen.now

    def server_now(self) -> int:
        """Return what the server's clock says, in unix ms."""
        seconds, micros = self._redis.time()  # type: ignore[misc]
        return int(seconds * 1000 + micros // 1000)

    def told(self, server_ms: float) -> float:
        """Return which moment of the story the server's clock means, or which place on a shelf."""
        place = server_ms
        if server_ms >= keys.SHELVES_FROM_MS:
            place = (server_ms - keys.SHELVES_FROM_MS) % keys.SHELF_WIDTH_MS
        return float(server_ms + self._skipped if place >= TIMES_FROM_MS else server_ms)

    def leap(self, ms: float, remembered: Iterable[Claim]) -> None:
        """Let `ms` pass since the last leap, in Redis and in what workers remember."""
        until = self.now + ms
        args = [until - self._skipped, keys.SHELVES_FROM_MS, keys.SHELF_WIDTH_MS, TIMES_FROM_MS]
        server_now, found, by = self._leap(args=args)
        for claim in remembered:
            claim.score -= by if claim.score >= TIMES_FROM_MS else 0
        self._skipped += by
        self.seen = self._told(server_now, found)

    def look(self) -> Look:
        """Read every key there is."""
        server_now, found, _ = self._read()
        return self._told(server_now, found)

    def _told(self, server_now: int, found: list[Any]) -> Look:
        now, entries = self.told(server_now), {}
        for key, kind, value, life in found:
            until = None if life < 0 else now + life
            entries[key.decode()] = Entry(self._value(key, kind.decode(), value), until)
        return Look(now, entries)

    def _value(self, key: bytes, kind: str, value: Any) -> Any:
        if kind == "zset":
            pairs = zip(value[::2], value[1::2], strict=True)
            return {member.decode(): self.told(float(score)) for member, score in pairs}
        if kind == "hash":
            return dict(zip([name.decode() for name in value[::2]], value[1::2], strict=True))
        if key.startswith(keys.UNKNOWN_PREFIX.encode()):
            return self.told(float(value))
        return value
