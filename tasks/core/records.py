"""ReleaseRecords: what was released, and whether its checks passed, kept as ConfigMaps beside the hub."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import CONFIG_MAP, Body, WantedObject

LABEL = "hubwright.io/release"
KEY = "record.json"


class CheckResult(BaseModel):
    """How one check ended; ``detail`` says what was seen, or why it failed and what to do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    passed: bool
    detail: str
    seconds: float


class ReleaseRecord(BaseModel):
    """One revision of a hub's Helm release, and how its checks ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hub: str
    release: str
    revision: int
    chart: str
    """Name and version, as Helm shows them: jupyterhub-4.4.0."""
    chart_digest: str
    values_hash: str
    image: str
    """The notebook image, by digest."""
    checks: tuple[CheckResult, ...]
    recorded_at: datetime

    @property
    def healthy(self) -> bool:
        """Whether there were checks and all of them passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)


def list_records(kubernetes: Kubernetes, namespace: str, release: str) -> tuple[ReleaseRecord, ...]:
    """The records of a release, newest revision first. One that a person garbled is passed over."""
    maps = kubernetes.list(CONFIG_MAP, namespace, f"{LABEL}={release}")
    records = [record for record in (_parse(found) for found in maps) if record]
    return tuple(sorted(records, key=lambda record: record.revision, reverse=True))


def ensure_record(kubernetes: Kubernetes, namespace: str, record: ReleaseRecord) -> None:
    """The record is kept, unless its revision has a healthy one: a release that once passed its checks did."""
    wanted = WantedObject(
        CONFIG_MAP,
        f"{record.release}-release-{record.revision}",
        namespace,
        {"metadata": {"labels": {LABEL: record.release}}, "data": {KEY: record.model_dump_json(indent=2)}},
    )
    kept = _parse(kubernetes.read(CONFIG_MAP, wanted.name, namespace) or {})
    if not (kept and kept.healthy):
        kubernetes.apply(wanted)


def newest_healthy(records: tuple[ReleaseRecord, ...]) -> ReleaseRecord | None:
    """The healthy record of the newest revision; None when there is none."""
    return next((record for record in records if record.healthy), None)


def record_of(records: tuple[ReleaseRecord, ...], revision: int) -> ReleaseRecord | None:
    """The record of a revision; None when there is none."""
    return next((record for record in records if record.revision == revision), None)


def _parse(found: Body) -> ReleaseRecord | None:
    try:
        return ReleaseRecord.model_validate_json(found.get("data", {}).get(KEY, ""))
    except ValidationError:
        return None
