"""Where ReleaseRecords are kept: each a ConfigMap beside the hub."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import CONFIG_MAP, Body, WantedObject
from tasks.core.record import Backup, ReleaseRecord, newest_healthy

LABEL = "hubwright.io/release"
KEY = "record.json"
KEPT = 20
"""So many records stay, as many as Helm keeps revisions; and the newest healthy one in any case."""


def list_records(kubernetes: Kubernetes, namespace: str, release: str) -> tuple[ReleaseRecord, ...]:
    """The records of a release, newest revision first. One that a person garbled is passed over."""
    maps = kubernetes.list(CONFIG_MAP, namespace, f"{LABEL}={release}")
    records = [record for record in (_parse(found) for found in maps) if record]
    return tuple(sorted(records, key=lambda record: record.revision, reverse=True))


def ensure_record(kubernetes: Kubernetes, namespace: str, record: ReleaseRecord) -> ReleaseRecord:
    """What is known of the revision is on record; returns that.

    A release that once passed its checks did: its record gives way only to a healthy one that tells of something else,
    as when the profile changed and nothing of the release did. What a revision went back to, and its backup, stay.
    """
    kept = _parse(kubernetes.read(CONFIG_MAP, _name(record), namespace) or {})
    if kept and not kept.same_revision(record):  # somebody uninstalled the release, and Helm counts from 1 again
        kept = None
    if kept and record.origin is None:
        record = record.model_copy(update={"origin": kept.origin})
    if kept and kept.healthy and (kept.same_release(record) or not record.healthy):
        return kept
    if kept and kept.backup:
        record = record.model_copy(update={"backup": kept.backup})
    kubernetes.take(_wanted(record, namespace))
    return record


def keep_backup(kubernetes: Kubernetes, namespace: str, record: ReleaseRecord, backup: Backup) -> None:
    """The record says where the backup of its database is."""
    kubernetes.take(_wanted(record.model_copy(update={"backup": backup}), namespace))


def trim_records(
    kubernetes: Kubernetes, namespace: str, records: Sequence[ReleaseRecord], present: ReleaseRecord
) -> None:
    """The oldest are gone, of more than ``KEPT``. ``records`` are those of one release, newest first.

    Those of higher revisions than the present one are of a release that somebody uninstalled: they are gone as soon
    as the present one is healthy.
    """
    newest = newest_healthy(records)
    former = [record for record in records if present.healthy and record.revision > present.revision]
    for record in (*former, *(one for one in records[KEPT:] if one != newest)):
        kubernetes.delete(CONFIG_MAP, _name(record), namespace)


def _name(record: ReleaseRecord) -> str:
    return f"{record.release}-release-{record.revision}"


def _wanted(record: ReleaseRecord, namespace: str) -> WantedObject:
    fields = {"metadata": {"labels": {LABEL: record.release}}, "data": {KEY: record.model_dump_json(indent=2)}}
    return WantedObject(CONFIG_MAP, _name(record), namespace, fields)


def _parse(found: Body) -> ReleaseRecord | None:
    try:
        return ReleaseRecord.model_validate_json(found.get("data", {}).get(KEY, ""))
    except ValidationError:
        return None
