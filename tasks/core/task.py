"""What every task of ours has in common: tried again when that may help, and never answered from a cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE, CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from tasks.core.errors import Transient

RETRY_DELAYS_SECONDS: list[float] = [2, 5, 15]

P = ParamSpec("P")
R = TypeVar("R")


def is_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed run is worth another try: only errors that may go away by themselves are."""
    return isinstance(state.data, Transient) or isinstance(_exception(state), Transient)


def _exception(state: State[Any]) -> BaseException | None:
    result = state.result(raise_on_failure=False)
    return result if isinstance(result, BaseException) else None


def hub_task(
    *, name: str, description: str, cache_policy: CachePolicy = NO_CACHE
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Decorator of our tasks. ``cache_policy`` is for what can never become untrue."""
    return task(
        name=name,
        description=description,
        retries=len(RETRY_DELAYS_SECONDS),
        retry_delay_seconds=RETRY_DELAYS_SECONDS,
        retry_condition_fn=is_transient,
        # A hit would only say that things were once as they should be; each task looks for itself.
        cache_policy=cache_policy,
        persist_result=cache_policy is not NO_CACHE,
    )
