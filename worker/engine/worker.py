"""Be Arq's worker, with the same arguments and the same wire, and a fleet's speed."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Unpack, cast

import arq.worker
from arq.connections import log_redis_info

from noteflow.infrastructure.queue import codec
from worker.engine.aborts import cancel_aborted
from worker.engine.arguments import check_arguments
from worker.engine.burst import burst, claim_in_burst
from worker.engine.compat import check_arq, signature_with_options
from worker.engine.connections import close_pool, open_pool, thread_client, wake_connection
from worker.engine.cron import enqueue_due
from worker.engine.drain import Drain
from worker.engine.health import Health, delete_line_if_last, new_worker_id
from worker.engine.lease import LeaseKeeper
from worker.engine.line import Line
from worker.engine.link import Link
from worker.engine.log import Log
from worker.engine.options import Options
from worker.engine.outage import UNREACHABLE, Outage, in_words
from worker.engine.patience import patience
from worker.engine.runs import Runs
from worker.engine.scripts import load_scripts
from worker.engine.serve import own_leases_kept, reserves, serve

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime
    from signal import Signals

    from arq.jobs import Deserializer
    from arq.worker import Function

    from worker.engine.arguments import ArqArguments
    from worker.engine.claims import Batch

logger = Log("worker.engine")
arq_log = Log("arq.worker")


class Worker(arq.worker.Worker):
    """Run jobs as `arq.worker.Worker` does, and keep running them when things go wrong.

    Takes Arq's arguments, and `options` (see `Options`) for what Arq has no name for. ``job_completion_wait`` is the
    time a drain waits. Without ``job_serializer`` and ``job_deserializer`` it speaks JSON, and with
    ``options.allow_pickle`` what an Arq pool without them speaks: pickles, of plain data only. Give it
    `codec.job_serializer` and `codec.job_deserializer` to read msgpack too.

    What a job's function may raise, beside Arq's `Retry`: `HandBack`, to run again later without counting the try;
    `Refused`, to become a dead letter now. Any other exception ends the job as in Arq, and leaves a dead letter.

    What an application may use while it runs: ``options.gate`` to hold back claiming while a dependency is away;
    ``options.on_ending`` to hear of every ending; `worker_id`, unique per start; ``health.excuses``, why it would not
    claim now, empty when it is ready.
    """

    # What `arq.worker.get_kwargs` reads to find a WorkerSettings' attributes.
    __signature__ = signature_with_options(arq.worker.Worker)

    def __init__(
        self,
        functions: Sequence[str | Function | Callable[..., Awaitable[Any]]] = (),
        *,
        options: Options | None = None,
        **arguments: Unpack[ArqArguments],
    ) -> None:
        check_arq()
        load_scripts()
        named = [arq.worker.func(function) for function in cast("Sequence[Any]", functions)]
        self.options = options or Options()
        check_arguments(named, self.options, arguments)
        self._drain = Drain(self)
        self.context = contextvars.copy_context()
        super().__init__(named, **arguments)
        if self._handle_signals and threading.current_thread() is threading.main_thread():
            waits = self._job_completion_wait
            self._drain.listen_to_others(self.handle_sig_wait_for_completion if waits else self.handle_sig)
        self.queues = (self.queue_name, *self.options.more_queues)
        self.worker_id = new_worker_id()
        self.paused_functions: frozenset[str] = frozenset()
        self.broken_queues: tuple[str, ...] = ()
        self.last_progress: float | None = None
        self.last_error: str | None = None
        self.outage = Outage()
        self.wanted = asyncio.Event()
        self.waits = False
        self.link = Link(
            lambda: self.pool, self.queues, self.worker_id, self.options, self.outage, lambda: self.context
        )
        self.health = Health(self)
        self.runs = Runs(self)
        self.line = Line(self)
        self.leases = LeaseKeeper(
            lambda: thread_client(
                self.pool.connection_pool, min(self.options.command_timeout_s, self.options.lease_s / 3)
            ),
            self.queues,
            lease_s=self.options.lease_s,
            lost=self.runs.lost_elsewhere,
            outage=self.outage,
            beat=self.health.beat,
            beat_s=self.options.beat_s,
            gate=self.options.gate,
        )
        self.options.gate.on_change = self.leases.beat_soon
        self.speaks_pickle = self.job_deserializer is None
        self.deserialize = _reader(self.job_deserializer or _read_json, allow_pickle=self.options.allow_pickle)
        self.serialize = self.job_serializer or (codec.job_serializer if self.speaks_pickle else pickle.dumps)
        self.next_keeping_s = 0.0

    @property
    def idle(self) -> bool:
        """Tell whether it runs nothing, and waits for Redis to call."""
        return self.waits and self.job_counter == 0

    @property
    def is_stopping(self) -> bool:
        """Tell whether it was told to stop, also if the loop has not come to it yet."""
        return self._drain.begun or not self.allow_pick_jobs

    async def claim(self, limit: int, ids: list[bytes] | None = None) -> Batch:
        """Claim up to `limit` due jobs and start them; raise what the connection raises."""
        await own_leases_kept(self)
        began = time.monotonic()
        batch = await self.link.claim(
            limit,
            reserves(self, limit),
            aborts=self.allow_abort_jobs,
            holds=self.runs.holds,
            ids=[] if ids is None else ids,
        )
        self.line.note_claim(time.monotonic() - began)
        self.paused_functions, self.broken_queues = batch.paused_functions, batch.broken_queues
        self.runs.emptying = batch.turn
        if batch.claims:
            self.options.gate.passed()
        for claim in batch.claims:
            self.runs.take(claim)
        return batch

    async def main(self) -> None:
        """Open the pool, start up, and run jobs until stopped, or in burst mode until there is none."""
        self._drain.begin_anew()
        if self._pool is None:
            self._pool = await open_pool(self)
        arq_log.info("Starting worker for %d functions: %s", len(self.functions), ", ".join(self.functions))
        call = self.outage.begin()
        try:
            async with patience(self.options.command_timeout_s):
                await log_redis_info(self.pool, arq_log.info)
        except UNREACHABLE as error:
            if self.burst:
                raise
            self.outage.failed(error, call)
        self.ctx["redis"] = self.pool
        if self.on_startup:
            await self.on_startup(self.ctx)
        self.context = contextvars.copy_context()
        if self.burst:
            await burst(self)
        else:
            await serve(self, lambda: wake_connection(self.pool.connection_pool, self.options.command_timeout_s))

    async def _poll_iteration(self) -> None:
        limit = min(self.max_jobs - self.job_counter, self.queue_read_limit, self.options.claim_limit)
        if self.burst and self.max_burst_jobs >= 0:
            limit = min(limit, self.max_burst_jobs - self._jobs_started())
            if limit < 1 and self._jobs_started() >= self.max_burst_jobs:
                return
        limit = self.options.gate.most(limit)
        if self.allow_pick_jobs and limit > 0 and not self.runs.claims_nothing:
            await claim_in_burst(self, limit)
        if self.allow_abort_jobs:
            await self._cancel_aborted_jobs()
        await self.heart_beat()

    def _jobs_started(self) -> int:
        return self.runs.begun

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Claim and start those of `job_ids` that are due and that nobody runs."""
        free = self.max_jobs - self.job_counter
        if free > 0 and job_ids and not self.runs.claims_nothing:
            await self.claim(free, job_ids[:free])

    async def run_job(self, job_id: str, score: int) -> None:
        """Claim and run one job, if it is due and nobody runs it; the queue knows the score."""
        await self.start_jobs([job_id.encode()])
        task = self.tasks.get(job_id)
        if task is not None:
            await asyncio.wait([task])

    async def _cancel_aborted_jobs(self) -> None:
        await cancel_aborted(self)

    async def run_cron(self, n: datetime, delay: float, num_windows: int = 2) -> None:
        """Enqueue the cron jobs that fall due within the window, each tick once in the fleet."""
        await enqueue_due(self, n, delay * num_windows)

    def _add_signal_handler(self, signum: Signals, handler: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            self._drain.listen(signum, handler)
        else:
            super()._add_signal_handler(signum, handler)

    def handle_sig(self, signum: Signals) -> None:
        """Stop now: running jobs are handed back, and their tries with them."""
        self._drain.hand_back_all()
        super().handle_sig(signum)

    async def _wait_for_tasks_to_complete(self, signum: Signals) -> None:
        await self._drain.wait(signum, self._job_completion_wait)

    async def close(self) -> None:
        """Record every ending, end the helpers, run ``on_shutdown`` and close the pool, whatever fails in between."""
        if not self._handle_signals:
            self.handle_sig(signal.SIGUSR1)
        if self._pool is None:
            self._drain.end()
            return
        await self._drain.settle()
        await asyncio.to_thread(self.leases.stop)
        try:
            async with patience(self.options.command_timeout_s):
                await self.health.retire()
                await delete_line_if_last(self)
        except UNREACHABLE as error:
            logger.warning("the worker's record could not be removed, it will expire: %s", in_words(error))
        try:
            if self.on_shutdown:
                await self.on_shutdown(self.ctx)
        finally:
            pool, self._pool = self.pool, None
            await close_pool(pool, self.options.command_timeout_s)
            self._drain.end()


def _read_json(raw: bytes) -> dict[str, Any]:
    if codec.codec_of(raw) is codec.Codec.MSGPACK:
        raise codec.CodecError("this worker was given no job_deserializer that reads msgpack")
    return codec.deserialize(raw)


def _reader(deserializer: Deserializer, *, allow_pickle: bool) -> Deserializer:
    """Return `deserializer`; where it refuses a pickle only for being one, have it read if it is allowed."""
    if not allow_pickle:
        return deserializer

    def read(raw: bytes) -> dict[str, Any]:
        try:
            return deserializer(raw)
        except codec.PickleRefused:
            return codec.deserialize(raw, allow_pickle=True)

    return read
