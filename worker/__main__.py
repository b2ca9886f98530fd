"""`python -m worker`."""

from __future__ import annotations

import sys

from worker.streams import Streams, fill_closed_streams

if __name__ == "__main__":
    streams = None
    if sys.argv[1:2] == ["run"]:
        from worker.early_stop import end_when_told

        end_when_told()
        fill_closed_streams()  # what a worker writes is its log
    else:
        streams = Streams()
    from worker.collecting import importing

    with importing():
        from worker.cli import create_app

        app = create_app()
    try:
        app()
    except SystemExit as ended:
        if streams is None or not isinstance(ended.code, int | None):
            raise
        raise SystemExit(streams.exit_code(ended.code or 0)) from None
