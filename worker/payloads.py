"""Payloads as the workers read them: none larger than a job may be."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from noteflow.domain.commands import MOST_BYTES_PER_JOB
from noteflow.domain.errors import CodecError
from noteflow.infrastructure.queue.codec import Codec, Kwargs, codec_of, deserialize, job_deserializer

if TYPE_CHECKING:
    from collections.abc import Callable

UNREADABLE: Final = "keep_unreadable"
"""The function that a stock worker runs in the place of a job that it cannot read."""


def bounded_deserializer(raw: bytes) -> dict[str, Any]:
    """Read a job, and raise CodecError for one of more bytes than a job may carry, without reading it.

    For workers that keep what they cannot read: Arq's own would lose it.
    """
    if len(raw) > MOST_BYTES_PER_JOB:
        raise CodecError(f"it is {len(raw)} bytes, and a job may carry {MOST_BYTES_PER_JOB} at most")
    return job_deserializer(raw)


def stock_deserializer(*, allow_pickle: bool) -> Callable[[bytes], dict[str, Any]]:
    """Return a reader that never fails, for Arq's own worker, which deletes what it cannot read.

    In the place of such a job stands one of the function `UNREADABLE`, with the reason.
    """
    return partial(_read_or_keep, allow_pickle=allow_pickle)


def _read_or_keep(raw: bytes, *, allow_pickle: bool) -> dict[str, Any]:
    try:
        return deserialize(raw, allow_pickle=allow_pickle)
    except CodecError as error:
        # Imported here: a worker starts without what operators look at. Arq logs the arguments of its jobs.
        from worker.inspection.masking import masked_unreadable

        reason = masked_unreadable(str(error))
    try:
        codec = codec_of(raw)
    except CodecError:
        codec = Codec.JSON
    return {"t": None, "f": UNREADABLE, "a": (reason,), "k": Kwargs({}, codec), "et": int(time.time() * 1000)}
