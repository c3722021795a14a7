"""When the database is backed up and comes back, and what of that is told; and the pod that does it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tasks.core.record import Backup, ReleaseRecord
from tasks.database.client import KEEPER, VOLUME_MOUNT, keeper_pod
from tasks.database.plan import LOST, plan_backup, plan_restore
from tests.unit.tasks.core.test_record import record

BACKUP = Backup(file="/f", sha256="0", bytes=1, schema_revision="old", made_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
TARGET = record(2).model_copy(update={"schema_revision": "old"})


@pytest.mark.parametrize(
    ("healthy", "replaces", "lines"), [(TARGET, "hub:4", 1), (TARGET, None, 0), (None, "hub:4", 0), (None, None, 0)]
)
def test_a_backup_is_made_of_what_is_healthy_when_another_image_comes(
    healthy: ReleaseRecord | None, replaces: str | None, lines: int
) -> None:
    assert len(plan_backup(healthy, replaces).changes) == lines


def test_what_is_lost_is_a_line_of_the_plan() -> None:
    [change] = plan_restore(TARGET, "new", BACKUP)
    assert change.before == "new"
    assert change.after == f"the backup of 2026-01-02 03:04:00 UTC: {LOST}"


def test_where_nobody_can_tell_the_schema_the_plan_says_so() -> None:
    [change] = plan_restore(TARGET, None, BACKUP)
    assert "cannot be read now" in change.before
    assert change.after.startswith("if its tables have moved on, ")


@pytest.mark.parametrize(("now", "backup"), [("old", BACKUP), ("new", None)])
def test_a_database_that_has_not_moved_or_has_no_backup_is_left_alone(now: str, backup: Backup | None) -> None:
    assert plan_restore(TARGET, now, backup).empty


def test_the_keeper_has_the_volume_and_nothing_else_of_the_hub() -> None:
    hub = {
        "name": "hub",
        "image": "hub:5",
        "command": ["jupyterhub"],
        "env": [{"name": "TOKEN", "valueFrom": {}}],
        "securityContext": {"runAsUser": 1000},
        "volumeMounts": [{"mountPath": VOLUME_MOUNT, "name": "pvc"}, {"mountPath": "/etc/secret", "name": "secret"}],
    }
    volumes = [{"name": "pvc", "persistentVolumeClaim": {"claimName": "hub-db-dir"}}, {"name": "secret", "secret": {}}]
    spec = {"containers": [hub], "volumes": volumes, "securityContext": {"fsGroup": 1000}, "serviceAccountName": "hub"}
    pod = keeper_pod({"spec": {"template": {"spec": spec}}}, "hub:4", "n")
    assert (pod.name, pod.namespace) == (KEEPER, "n")
    made = pod.fields["spec"]
    [container] = made["containers"]
    assert container["image"] == "hub:4"
    assert container["command"][0] == "sleep"
    assert container["volumeMounts"] == [{"mountPath": VOLUME_MOUNT, "name": "pvc"}]
    assert "env" not in container
    assert made["volumes"] == volumes[:1]
    assert made["securityContext"] == {"fsGroup": 1000}
    assert made["automountServiceAccountToken"] is False
    assert "component" not in pod.fields["metadata"]["labels"]
