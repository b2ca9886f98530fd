"""`python -m tests.integration.engine.model`: exit code 0 if Redis did what the model says for as long as asked."""

from __future__ import annotations

import argparse
import itertools
import logging
import secrets
import time
import traceback

from tests.integration.engine.model.running import STEPS, play
from tests.integration.engine.model.stage import ground_on
from worker.embedded import EmbeddedRedis

STORIES = 50


def main() -> int:
    parser = argparse.ArgumentParser(description="Play stories against the engine's scripts, from seed to seed.")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="the first; default: a new one")
    parser.add_argument("--seconds", type=float, default=60.0, help="no seed is begun after that (60)")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # the keeper says what it keeps, thousands of times
    ends = time.monotonic() + options.seconds
    with EmbeddedRedis() as server, ground_on(server.url()) as ground:
        for seed in itertools.count(options.seed):
            if time.monotonic() > ends:
                return 0
            print(f"seed {seed}: {STORIES} stories of {STEPS} steps", flush=True)
            try:
                play(ground, seed, STORIES)
            except Exception:
                traceback.print_exc()
                return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
