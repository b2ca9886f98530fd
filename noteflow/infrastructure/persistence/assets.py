"""The files of a meeting: recordings and what was made of them."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from noteflow.domain.value_objects import MeetingId


class MeetingAssets:
    """One folder a meeting, under the folder given. Files are outside the transaction: deleting is at once."""

    def __init__(self, meetings_dir: str | Path) -> None:
        self._root = Path(meetings_dir)

    def path(self, meeting_id: MeetingId) -> Path:
        """Where the meeting's files lie, whether there are any or not."""
        return self._root / str(meeting_id)

    async def list(self, meeting_id: MeetingId) -> list[Path]:
        """The meeting's files, sorted by path; none where the folder does not exist."""
        folder = self.path(meeting_id)
        return await asyncio.to_thread(lambda: sorted(file for file in folder.rglob("*") if file.is_file()))

    async def delete(self, meeting_id: MeetingId) -> bool:
        """Delete the meeting's folder with all in it. Says whether there was one."""
        folder = self.path(meeting_id)
        if not await asyncio.to_thread(folder.is_dir):
            return False
        await asyncio.to_thread(shutil.rmtree, folder)
        return True
