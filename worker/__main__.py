"""`python -m worker`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        from worker.early_stop import end_when_told

        end_when_told()
    from worker.collecting import importing

    with importing():
        from worker.cli import create_app

        app = create_app()
    app()
