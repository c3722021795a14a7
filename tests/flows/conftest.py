"""Prefect's own test harness, started once; the heartbeat thread costs a second a run and shows nothing here."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from tests.flows.steps import replace_steps


@pytest.fixture(scope="session", autouse=True)
def harness() -> Generator[None, None, None]:
    with prefect_test_harness(), temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps of the deploy flow as they are called."""
    return replace_steps(monkeypatch)
