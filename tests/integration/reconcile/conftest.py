"""The stage on which jobs are delivered, for those who reconcile."""

from __future__ import annotations

from tests.integration.worker.conftest import met, mover, redis, stage

__all__ = ["met", "mover", "redis", "stage"]
