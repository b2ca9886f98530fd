"""The script names the keys that the rest of the house names."""

from __future__ import annotations

import re
from importlib.resources import files

from noteflow.infrastructure.queue import keys

SCRIPT = files("noteflow.infrastructure.queue.scripts").joinpath("enqueue.lua").read_text()
OPENING, _, CODE = SCRIPT.partition("\n\n")
OWN = {value for name, value in vars(keys).items() if name.isupper() and isinstance(value, str)}


def test_every_key_that_the_script_touches_is_in_the_list_of_keys() -> None:
    touched = set(re.findall(r"'(arq:[^']*)'", CODE))

    assert touched
    assert touched <= OWN


def test_the_script_opens_by_naming_every_key_it_touches() -> None:
    assert {key for key in re.findall(r"'(arq:[^']*)'", CODE) if key not in OPENING} == set()
