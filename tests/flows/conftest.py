"""Prefect's own test harness, started once; the heartbeat thread costs a second a run and shows nothing here."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import nullcontext

import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.testing.utilities import prefect_test_harness

import flows.converge as converging
import flows.rollback as rolling
from tasks.release.health import Health
from tests.flows.steps import FENCE, RECORDS, replace_steps, seen, stand_in

STARTED_SECONDS = 120
"""A machine that does something else beside the tests takes so long."""


@pytest.fixture(scope="session", autouse=True)
def harness() -> Generator[None, None, None]:
    with (
        prefect_test_harness(server_startup_timeout=STARTED_SECONDS),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps of the deploy flow as they are called."""
    return replace_steps(monkeypatch)


@pytest.fixture
def back(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps of rollback and converge too; the newest revision is 2, and healthy."""
    for name, answer in (
        ("read_records", RECORDS),
        ("check_database", ()),
        ("look_at_health", seen(Health.HEALTHY, 2)),
    ):
        for module in (rolling, converging):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, stand_in(name, lambda answer=answer: answer, calls))
    monkeypatch.setattr(rolling, "fence_of", lambda _hub: nullcontext(FENCE))
    return calls
