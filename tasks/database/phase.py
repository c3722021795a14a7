"""Phase database: before another hub's image takes the database over there is a backup, and going back uses it."""

from __future__ import annotations

from prefect.logging import get_run_logger

from config.spec import Hub
from tasks.core.access import access_problems
from tasks.core.change import Plan
from tasks.core.errors import HubError, Permanent
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.problems import Problem
from tasks.core.record import Backup, ReleaseRecord, backup_for, newest_healthy
from tasks.core.records import keep_backup, list_records
from tasks.core.task import hub_task
from tasks.database import plan
from tasks.database.client import HubDatabase
from tasks.database.plan import permissions


@hub_task(name="check database", description="Looks whether the account may look after the hub's database.")
def check_database(hub: Hub) -> tuple[Problem, ...]:
    """What stands in the way of this phase. Reads only."""
    return access_problems(Kubernetes.connect().list_denied(permissions(hub), hub.cluster.namespace))


@hub_task(name="plan backup", description="Says whether the hub's database is backed up before the release changes.")
def plan_backup(hub: Hub, replaces: str | None) -> Plan:
    """What ``back_up_database`` would make, before the image ``replaces`` gives way to another one. Reads only."""
    records = list_records(Kubernetes.connect(), hub.cluster.namespace, hub.release.name)
    return plan.plan_backup(newest_healthy(records), replaces)


@hub_task(name="read schema", description="Reads which revision the tables of the hub's database are of.")
def read_schema(hub: Hub) -> str | None:
    """Alembic's revision of the tables; None when the hub's pod cannot be asked, which is said. Reads only."""
    try:
        return _database(hub, Kubernetes.connect(), "").read_schema_if_ready()
    except HubError as error:
        get_run_logger().warning("the schema of the hub's database is not on record: %s", error)
        return None


@hub_task(name="back up database", description="Copies the hub's database before another hub's image takes it over.")
def back_up_database(hub: Hub, replaces: str | None, fence: Fence) -> Backup | None:
    """The database as the newest healthy release leaves it is kept, and on record; None when nothing was to be done."""
    kubernetes = Kubernetes.connect(may_write=fence.check)
    records = list_records(kubernetes, hub.cluster.namespace, hub.release.name)
    record = newest_healthy(records)
    if record is None or replaces is None:
        return None
    database = _database(hub, kubernetes, replaces)
    if record.schema_revision not in (None, database.read_schema()):
        get_run_logger().warning("the database is not release %s's any more: its backup stays", record.revision)
        return None
    kept = [one.backup.file for one in records if one.backup and one.revision != record.revision]
    made = database.back_up(f"release-{record.revision}", kept)
    keep_backup(kubernetes, hub.cluster.namespace, record, made)
    get_run_logger().info("the hub's database is backed up: %s, %s bytes", made.file, made.bytes)
    return made


@hub_task(name="plan database back", description="Says whether the hub's database comes back from a backup.")
def plan_database_back(hub: Hub, target: ReleaseRecord, replaces: str | None) -> Plan:
    """What ``restore_database`` would change. Reads only."""
    if target.schema_revision is None or replaces is None:
        return Plan()
    kubernetes = Kubernetes.connect()
    records = list_records(kubernetes, hub.cluster.namespace, hub.release.name)
    backup = backup_for(records, target.schema_revision)
    return plan.plan_restore(target, _database(hub, kubernetes, "").read_schema_if_ready(), backup)


@hub_task(name="restore database", description="Brings the hub's database back when its tables have moved on.")
def restore_database(hub: Hub, target: ReleaseRecord, replaces: str | None, fence: Fence) -> Plan:
    """The tables are those of the target; returns what changed. Then no hub runs until the release comes back.

    Nothing is looked at where the hub's image stays the same. Raises Permanent when there is no backup.
    """
    if target.schema_revision is None or target.hub_image is None or replaces is None:
        return Plan()
    kubernetes = Kubernetes.connect(may_write=fence.check)
    database = _database(hub, kubernetes, target.hub_image)
    now = database.read_schema()
    if now == target.schema_revision:
        return Plan()
    records = list_records(kubernetes, hub.cluster.namespace, hub.release.name)
    backup = backup_for(records, target.schema_revision)
    if backup is None:
        asked = f"bring the hub's database back from {now} to {target.schema_revision}"
        remedy = "go back to a release of the schema that the database has, or deploy a newer one"
        raise Permanent("records", asked, "there is no backup of that schema", remedy)
    database.restore(backup)
    return plan.plan_restore(target, now, backup)


def _database(hub: Hub, kubernetes: Kubernetes, image: str) -> HubDatabase:
    return HubDatabase(kubernetes, hub.cluster.namespace, image, get_run_logger().info)
