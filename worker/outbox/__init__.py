"""Carries what is asked for in PostgreSQL to Redis, and again when Redis has lost it."""

from __future__ import annotations

from worker.outbox.relay import Relay

__all__ = ["Relay"]
