"""What a command says of an error, for whoever has to mend it."""

from __future__ import annotations

from collections.abc import Collection

from noteflow.domain.errors import QueueUnavailable, StorageUnavailable
from worker.settings import Settings


def complaint(error: Exception, settings: Settings, urls: Collection[str] = ("database_url", "redis_url")) -> str:
    """The error's message; of a server that does not answer also where it was looked for, without the password.

    `urls` are the settings that were followed.
    """
    name = {StorageUnavailable: "database_url", QueueUnavailable: "redis_url"}
    followed = [setting for kind, setting in name.items() if isinstance(error, kind) and setting in urls]
    return "; ".join([str(error), *(f"{setting.upper()} is {settings.shown(setting)}" for setting in followed)])
