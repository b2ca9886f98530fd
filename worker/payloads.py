"""Payloads as the workers read them: none larger than a job may be."""

from __future__ import annotations

from typing import Any

from noteflow.domain.commands import MOST_BYTES_PER_JOB
from noteflow.domain.errors import CodecError
from noteflow.infrastructure.queue.codec import job_deserializer


def bounded_deserializer(raw: bytes) -> dict[str, Any]:
    """Read a job, and raise CodecError for one of more bytes than a job may carry, without reading it.

    For workers that keep what they cannot read: Arq's own would lose it.
    """
    if len(raw) > MOST_BYTES_PER_JOB:
        raise CodecError(f"it is {len(raw)} bytes, and a job may carry {MOST_BYTES_PER_JOB} at most")
    return job_deserializer(raw)
