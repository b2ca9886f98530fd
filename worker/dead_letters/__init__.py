"""Brings dead letters from Redis into PostgreSQL, so that they do not burn with it."""

from __future__ import annotations

from worker.dead_letters.mover import LetterMover

__all__ = ["LetterMover"]
