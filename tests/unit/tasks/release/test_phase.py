"""Going back, where there is nothing to go back from."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from config.profiles import load_profile
from tasks.core.records import CheckResult, ReleaseRecord
from tasks.release import phase
from tasks.release.state import Revision

FENCE = SimpleNamespace(check=lambda: None)
PASSED = CheckResult(name="c", passed=True, detail="", seconds=0)
RECORD = ReleaseRecord(
    hub="h", release="jupyterhub", revision=1, chart="c-1.0.0", chart_digest="d", values_hash="v", image="i",
    checks=(PASSED,), recorded_at=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip


class _Helm:
    """A release with a history, that nothing is done to."""

    def __init__(self, *revisions: int) -> None:
        self.history = tuple(Revision(number, "deployed", "c-1.0.0", "") for number in revisions)

    def list_revisions(self, _release: str) -> tuple[Revision, ...]:
        return self.history


@pytest.mark.parametrize(
    ("records", "revisions", "expected"),
    [((), (), None), ((), (1,), None), ((RECORD,), (), None), ((RECORD,), (1,), RECORD)],
    ids=["nothing was ever there", "none was ever healthy", "somebody uninstalled it", "the healthy one runs"],
)
def test_nothing_is_rolled_back_without_need(
    records: tuple[ReleaseRecord, ...],
    revisions: tuple[int, ...],
    expected: ReleaseRecord | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(phase.Kubernetes, "connect", lambda **_options: None)
    monkeypatch.setattr(phase, "Helm", lambda _namespace, _may_write: _Helm(*revisions))
    monkeypatch.setattr(phase, "list_records", lambda *_place: records)
    assert phase.restore_release.fn(load_profile("iav-v1"), FENCE) == expected
