"""Every error NoteFlow raises, named for what its receiver should do.

::

    NoteflowError
    ├── Refused (ValueError)              do not repeat it: mend what was asked
    │   ├── InvalidValue                  a field holds what cannot be true; names the field
    │   ├── IllegalTransition             the meeting may not make this move
    │   ├── ConflictingContent            stored already, with other content
    │   ├── CodecError                    a payload cannot be read
    │   ├── UnknownFunction               nobody does a job of this name
    │   ├── TooMuchWaits                  more may wait for a meeting once less does
    │   └── RejectedByStorage             PostgreSQL will never take it
    ├── MeetingNotFound (LookupError)     ask for one that exists, or wait until it does
    ├── ConcurrencyConflict (ValueError)  again from the start: somebody else was first
    ├── UnitOfWorkFailed                  roll back before going on
    └── Unavailable                       wait: nothing is wrong with what was asked
        ├── StorageUnavailable            PostgreSQL cannot answer now
        │   └── StorageMisconfigured      nor will it until a person mends the settings
        └── QueueUnavailable              Redis cannot answer now

Errors of a driver never leave the infrastructure: they are translated at one seam, the original attached as
the cause.
"""

from __future__ import annotations


class NoteflowError(Exception):
    """The root of the tree."""


class Refused(NoteflowError, ValueError):
    """What was asked is wrong and stays wrong however often it is repeated."""


class InvalidValue(Refused):
    """A field holds a value that cannot be true. The message begins with the field."""

    def __init__(self, field: str, complaint: str) -> None:
        super().__init__(f"{field}: {complaint}")
        self.field = field
        self.complaint = complaint

    def __reduce__(self) -> tuple[type[InvalidValue], tuple[str, str]]:
        return type(self), (self.field, self.complaint)


class IllegalTransition(Refused):
    """A meeting may not move from the state it is in to the one asked for."""


class ConflictingContent(Refused):
    """The same thing is stored already, with other content."""


class CodecError(Refused):
    """A message cannot be read: no known codec, malformed, or a pickle of more than plain data."""


class UnknownFunction(Refused):
    """No handler does a job of this name."""


class TooMuchWaits(Refused):
    """So much is parked for this meeting already that nothing more may be."""


class RejectedByStorage(Refused):
    """PostgreSQL refuses the data themselves, and will refuse them again."""


class MeetingNotFound(NoteflowError, LookupError):
    """No meeting has this id, or not yet."""

    def __init__(self, meeting_id: object) -> None:
        super().__init__(f"no meeting has the id {meeting_id}")
        self.meeting_id = meeting_id

    def __reduce__(self) -> tuple[type[MeetingNotFound], tuple[object]]:
        return type(self), (self.meeting_id,)


class ConcurrencyConflict(NoteflowError, ValueError):
    """Somebody else changed the same thing first. Begin again in a new unit of work."""


class UnitOfWorkFailed(NoteflowError):
    """An earlier statement of this unit of work failed, so nothing of it can be stored. Roll back first."""


class Unavailable(NoteflowError):
    """A server cannot answer now. Waiting cures it; nothing is wrong with what was asked."""


class StorageUnavailable(Unavailable):
    """PostgreSQL cannot answer now. Whether the last COMMIT happened is not known."""


class StorageMisconfigured(StorageUnavailable):
    """PostgreSQL refuses this user, database or encryption: a person has to mend the settings."""


class QueueUnavailable(Unavailable):
    """Redis cannot answer now. Whether the last enqueue happened is not known; repeating it is safe."""
