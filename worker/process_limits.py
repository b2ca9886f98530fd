"""Errors that say that this process, or its machine, has run out of something. No job is to blame for them."""

from __future__ import annotations

import errno
from typing import Final

from noteflow.infrastructure.persistence.faults import causes

_NUMBERS: Final = frozenset(
    {
        errno.EMFILE,  # file descriptors of this process
        errno.ENFILE,  # file descriptors of the machine
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.EAGAIN,  # threads or processes
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.EROFS,  # as the kernel makes a disk that fails
    }
)
_NO_THREAD: Final = "can't start new thread"


def is_process_limit(error: BaseException) -> bool:
    """Whether the error is one of these, or was raised because of one or while one was handled."""
    return any(_is_one(link) for link in causes(error))


def _is_one(link: BaseException) -> bool:
    if isinstance(link, OSError):
        return link.errno in _NUMBERS
    return isinstance(link, MemoryError) or (isinstance(link, RuntimeError) and str(link) == _NO_THREAD)
