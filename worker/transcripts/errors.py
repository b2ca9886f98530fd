"""What a file that cannot be read says about itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from noteflow.domain.errors import InvalidValue, Refused


class TranscriptError(Refused):
    """Names the file, the place in it and the field that is wrong; never quotes what was said in the meeting.

    `place` is a line ("line 12") or an element ("segments[3]"), `field` what is wrong there ("end").
    Both are empty where the whole file is meant.
    """

    def __init__(self, source: str, problem: str, *, place: str = "", field: str = "") -> None:
        self.source = source
        self.place = place
        self.field = field
        self.problem = problem
        where = ", ".join(part for part in (place, field) if part)
        super().__init__(": ".join(part for part in (source, where, problem) if part))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, (self.source, self.problem, self.place, self.field)


def _rebuilt(source: str, problem: str, place: str, field: str) -> TranscriptError:
    return TranscriptError(source, problem, place=place, field=field)


@contextmanager
def placed(source: str, place: str, within: str = "") -> Iterator[None]:
    """Tell where a value stands that the domain's checks refuse; `within` goes before the field's name."""
    try:
        yield
    except InvalidValue as error:
        raise TranscriptError(source, error.complaint, place=place, field=within + error.field) from None
