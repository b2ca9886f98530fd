"""Load the engine's Lua scripts, each known to the server by its digest."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDER: Final = Path(__file__).parent / "scripts"
_INCLUDE: Final = re.compile(r"^-- include (\w+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """Be one Lua script: its text, and the digest under which a server remembers it."""

    name: str
    text: str
    sha: str

    def call(self, keys: Sequence[str | bytes], args: Sequence[Any]) -> tuple[Any, ...]:
        """Return the command that runs the script on a server that knows it."""
        return ("EVALSHA", self.sha, len(keys), *keys, *args)


@cache
def script(name: str) -> Script:
    """Return the script `name`, read once, with what it includes (``-- include other``) in its place."""
    text = _INCLUDE.sub(lambda found: _read(found[1]), _read(name))
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def load_scripts() -> None:
    """Read every script now, so that none has to be opened when the process has no file descriptor left."""
    for path in sorted(_FOLDER.glob("*.lua")):
        script(path.stem)


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")


def call_script(client: Any, name: str, keys: Sequence[str | bytes], args: Sequence[Any]) -> Any:
    """Run a script with a synchronous client, teaching it to the server first if it is new there."""
    wanted = script(name)
    command = wanted.call(keys, args)
    try:
        return client.execute_command(*command)
    except NoScriptError:
        client.script_load(wanted.text)
        return client.execute_command(*command)


async def run_script(redis: Any, name: str, keys: Sequence[str | bytes], args: Sequence[Any]) -> Any:
    """Run a script, teaching it to the server first if it is new there (a restart or a failover forgets)."""
    wanted = script(name)
    command = wanted.call(keys, args)
    try:
        return await redis.execute_command(*command)
    except NoScriptError:
        await redis.script_load(wanted.text)
        return await redis.execute_command(*command)
