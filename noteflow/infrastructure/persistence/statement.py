"""Several writes as one statement: one round trip, and where it is all there is, one transaction of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Protocol

from sqlalchemy import TextClause, text
from sqlalchemy.dialects.postgresql import asyncpg


class Write(Protocol):
    """One of the writes that a statement is composed of, as a common table expression.

    `clause` may hold `{gate}`, a condition that is false when the job was finished before. Its parameters and the
    columns it answers with have names of their own.
    """

    rank: ClassVar[int]
    clause: ClassVar[str]
    answer: ClassVar[str]

    def values(self) -> Mapping[str, Any]:
        """The parameters."""

    def written(self, row: Mapping[str, Any]) -> None:
        """Take in what the statement answered."""


class Hopeful:
    """A write that has a cheaper form beside its own, for where nothing it stores is stored already.

    If something is, the whole statement ends with the SQLSTATE of a unique violation, and nothing of it is done.
    """

    hopeful_clause: ClassVar[str]
    hopeful_answer: ClassVar[str]

    @property
    def pays(self) -> bool:
        """Whether hoping is worth its while."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Composed:
    """A statement in the two spellings it is run in: SQLAlchemy's, and the driver's with its parameters in order."""

    clause: TextClause
    sql: str
    names: tuple[str, ...]


def compose(writes: Sequence[Write], *, gated: bool, hopes: bool = False) -> Composed:
    """The one statement that does all the writes; if it `hopes`, each in its cheaper form, if it has one.

    Each shape is made once, and prepared once a connection.
    """
    ranked = sorted(writes, key=lambda write: write.rank)
    return _compose(tuple(_form(write, hopes) for write in ranked), gated)


def _form(write: Write, hopes: bool) -> tuple[str, str]:
    if hopes and isinstance(write, Hopeful) and write.pays:
        return write.hopeful_clause, write.hopeful_answer
    return write.clause, write.answer


@cache
def _compose(shape: tuple[tuple[str, str], ...], gated: bool) -> Composed:
    gate = "EXISTS (SELECT FROM known)" if gated else "true"
    clauses = ",\n".join(clause.replace("{gate}", gate) for clause, _ in shape)
    answers = ", ".join(answer.replace("{gate}", gate) for _, answer in shape)
    clause = text(f"WITH {clauses}\nSELECT {answers}")
    compiled = clause.compile(dialect=asyncpg.dialect())  # type: ignore[no-untyped-call]  # SQLAlchemy types none
    return Composed(clause, str(compiled), tuple(compiled.positiontup or ()))
