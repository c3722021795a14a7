"""Which releases one can go back to, by what is on record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.record import (
    Backup,
    CheckResult,
    ReleaseRecord,
    backup_for,
    healthy_releases,
    newest_healthy,
    release_before,
)
from tasks.core.records import KEPT, ensure_record, trim_records

START = datetime(2026, 1, 1, tzinfo=UTC)


def record(
    revision: int, passed: bool | None = True, origin: int | None = None, backup: Backup | None = None
) -> ReleaseRecord:
    """A record; ``passed`` is None where nobody checked it."""
    checks = () if passed is None else (CheckResult(name="c", passed=passed, detail="", seconds=0),)
    return ReleaseRecord(
        hub="h", release="jupyterhub", revision=revision, chart="c-1.0.0", chart_digest="d", values_hash="v",
        image="i", checks=checks, recorded_at=START, origin=origin, backup=backup,
    )  # fmt: skip


def made(hours: int, schema: str) -> Backup:
    return Backup(
        file=f"/f{hours}", sha256="0", bytes=1, schema_revision=schema, made_at=START + timedelta(hours=hours)
    )


@pytest.mark.parametrize(
    ("records", "revision"),
    [
        ([], None),
        ([record(3), record(2)], 3),
        ([record(3, passed=False), record(2)], 2),
        ([record(3, passed=None)], None),
    ],
)
def test_the_newest_healthy_record_is_the_one_to_go_back_to(
    records: Sequence[ReleaseRecord], revision: int | None
) -> None:
    found = newest_healthy(records)
    assert (found.revision if found else None) == revision


def test_what_runs_the_same_is_one_choice_by_its_newest_revision() -> None:
    records = [record(5, origin=2), record(4, passed=False), record(3), record(2), record(1)]
    assert [one.revision for one in healthy_releases(records)] == [5, 3, 1]


@pytest.mark.parametrize(
    ("present", "expected"),
    [(3, 2), (2, 1), (1, None), (4, 1), (5, 2)],
    ids=["the one before", "once more", "the first", "gone back to 2: not 3 again", "failed, and not on record"],
)
def test_the_release_before_is_older_than_what_runs(present: int, expected: int | None) -> None:
    records = [record(4, origin=2), record(3), record(2), record(1)]
    found = release_before(records, present)
    assert (found.stands_for if found else None) == expected


def test_the_newest_backup_of_a_schema_counts() -> None:
    records = [record(3, backup=made(2, "a")), record(2, backup=made(3, "b")), record(1, backup=made(1, "a"))]
    assert backup_for(records, "a") == made(2, "a")
    assert backup_for(records, "c") is None


class _ConfigMaps:
    """Where records are kept; what is deleted is told."""

    def __init__(self, *kept: ReleaseRecord) -> None:
        self.kept = {f"jupyterhub-release-{one.revision}": one for one in kept}
        self.writes = 0

    def read(self, _kind: object, name: str, _namespace: str) -> object:
        found = self.kept.get(name)
        return {"data": {"record.json": found.model_dump_json()}} if found else None

    def take(self, wanted: object) -> None:
        self.writes += 1
        found = ReleaseRecord.model_validate_json(wanted.fields["data"]["record.json"])  # type: ignore[attr-defined]
        self.kept[wanted.name] = found  # type: ignore[attr-defined]

    def delete(self, _kind: object, name: str, _namespace: str) -> None:
        del self.kept[name]


def test_a_backup_stays_with_its_record() -> None:
    maps = _ConfigMaps(record(3, passed=False, backup=made(1, "a")))
    assert ensure_record(maps, "n", record(3)).backup == made(1, "a")  # type: ignore[arg-type]
    assert maps.kept["jupyterhub-release-3"].healthy


def test_a_deploy_that_changes_nothing_leaves_what_a_revision_went_back_to() -> None:
    maps = _ConfigMaps(record(3, origin=1))
    assert ensure_record(maps, "n", record(3)).origin == 1  # type: ignore[arg-type]
    assert maps.writes == 0


def test_a_healthy_record_is_kept_and_written_once() -> None:
    maps = _ConfigMaps(record(3))
    for passed in (True, False, None):
        assert ensure_record(maps, "n", record(3, passed=passed)).healthy  # type: ignore[arg-type]
    assert maps.writes == 0


def test_the_oldest_records_give_way_but_never_the_newest_healthy_one() -> None:
    records = [*(record(number, passed=False) for number in range(KEPT + 5, 1, -1)), record(1)]
    maps = _ConfigMaps(*records)
    trim_records(maps, "n", records, records[0])  # type: ignore[arg-type]
    assert sorted(one.revision for one in maps.kept.values()) == [1, *range(6, KEPT + 6)]


@pytest.mark.parametrize(("passed", "left"), [(None, [1, 7, 8]), (False, [1, 7, 8]), (True, [1])])
def test_records_of_a_release_that_was_uninstalled_give_way_to_a_healthy_one(
    passed: bool | None, left: list[int]
) -> None:
    """Until then they are what one can go back to."""
    former = [record(number) for number in (8, 7, 1)]
    maps = _ConfigMaps(*former)
    anew = record(1, passed=passed).model_copy(update={"values_hash": "another"})
    kept = ensure_record(maps, "n", anew)  # type: ignore[arg-type]
    assert kept.healthy is bool(passed)
    trim_records(maps, "n", [*former[:2], kept], kept)  # type: ignore[arg-type]
    assert sorted(one.revision for one in maps.kept.values()) == left
