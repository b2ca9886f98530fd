"""`python -m worker`."""

from __future__ import annotations

from worker.cli import create_app

if __name__ == "__main__":
    create_app()()
