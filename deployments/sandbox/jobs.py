"""Jobs that need each other: each starts as soon as what it needs is done, so that nothing waits without cause."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from deployments.sandbox.progress import Step, Steps


@dataclass(frozen=True)
class Job:
    """Something to be done once the jobs named in ``needs`` are."""

    name: str
    needs: tuple[str, ...]
    action: Callable[[Step], None]


class _Skipped(Exception):
    """A job was not started because another one failed."""


def run_jobs(jobs: Sequence[Job], steps: Steps) -> None:
    """All jobs are done. ``needs`` may only name jobs that stand before.

    Raises the first failure, after the jobs that were running have ended; the others are not started.
    """
    failed = threading.Event()
    futures: dict[str, Future[None]] = {}
    pool = ThreadPoolExecutor(max_workers=max(1, len(jobs)))
    try:
        for job in jobs:
            needed = [futures[name] for name in job.needs]
            futures[job.name] = pool.submit(_run, job, needed, steps, failed)
        wait(futures.values())
    finally:
        failed.set()
        pool.shutdown(wait=False, cancel_futures=True)
    errors = [error for future in futures.values() if (error := future.exception())]
    for error in errors:
        if not isinstance(error, _Skipped):
            raise error


def _run(job: Job, needed: Sequence[Future[None]], steps: Steps, failed: threading.Event) -> None:
    wait(needed)
    if failed.is_set():
        raise _Skipped(job.name)
    try:
        with steps.step(job.name) as step:
            job.action(step)
    except BaseException:
        failed.set()
        raise
