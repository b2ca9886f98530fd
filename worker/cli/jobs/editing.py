"""Mend a payload in an editor."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

import click

from noteflow.domain.errors import Refused
from noteflow.infrastructure.queue.codec import codec_of, deserialize, serialize
from worker.cli.jobs.frame import give_up, refuse
from worker.cli.terminal import confirm, echo
from worker.inspection.masking import can_be_written
from worker.inspection.payloads import refusal_of


def edited(body: bytes) -> bytes | None:
    """The payload as a person mended it, in the codec it came in; None if nothing was changed.

    It is shown as JSON until a worker of this version would take it, or the person gives up, which ends the command.
    It ends with 1 if the editor cannot be run, or ends with an error itself.
    """
    try:
        codec, message = codec_of(body), deserialize(body, allow_pickle=True)
    except Refused as error:
        refuse(f"the payload cannot be read, so it cannot be edited: {error}")
    text = original = _as_json(message)
    while True:
        written = _in_editor(text)
        if written is None or written.strip() == original.strip():
            return None
        complaint = _complaint(written)
        if complaint is None:
            return serialize(json.loads(written), codec)
        echo(f"it would be refused again: {complaint}", err=True)
        if not confirm("edit it once more?", default=True):
            refuse("given up; nothing was done")
        text = written


def _as_json(message: dict[str, Any]) -> str:
    if not can_be_written(message):
        refuse("the payload holds too much, or what cannot be written as JSON, so it cannot be edited")
    try:
        text = json.dumps(message, indent=2, ensure_ascii=False, default=str)
        return text if text.isascii() or _is_utf8(text) else json.dumps(message, indent=2, default=str)
    except Exception as error:  # a pickle may hold what contains itself, or objects that cannot be read as text
        refuse(f"the payload cannot be written as JSON, so it cannot be edited: {type(error).__name__}")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _in_editor(text: str) -> str | None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    named = f"the editor {editor}" if editor else "the editor"
    try:
        return click.edit(text, editor=editor, extension=".json")
    except UnicodeDecodeError:
        give_up(f"{named} left what is not UTF-8")
    except click.ClickException as error:  # of click itself, which is not what typer catches
        give_up(f"{named} could not be run" if error.__cause__ else f"{named} ended with an error")
    except ValueError:  # a quotation mark without its other
        give_up(f"{named} could not be run")


def _complaint(text: str) -> str | None:
    message: Any = None
    with suppress(ValueError):
        message = json.loads(text)
    if not isinstance(message, dict):
        return "it is not a JSON object"
    return refusal_of(message)
