"""Phase database, what would change: pure."""

from __future__ import annotations

from config.spec import Hub
from tasks.core.change import Action, Change, Plan
from tasks.core.objects import EXEC, POD, Access
from tasks.core.record import Backup, ReleaseRecord

TITLE = "Database of the hub"
LOST = "sign-ins, tokens and servers' starts since then are forgotten; running servers and all files stay"


def plan_backup(record: ReleaseRecord | None, replaces: str | None) -> Plan:
    """A backup is made while another hub's image is to take the database over from a healthy release."""
    if record is None or replaces is None:
        return Plan()
    return Plan((Change.of(Action.CREATE, f"Backup of the hub's database as release {record.revision} leaves it"),))


def plan_restore(target: ReleaseRecord, schema_revision: str | None, backup: Backup | None) -> Plan:
    """The database comes back from the backup when its tables have moved on, with what is lost; else it is left alone.

    ``schema_revision`` is None while nobody can say how the tables are.
    """
    if target.schema_revision is None or schema_revision == target.schema_revision or backup is None:
        return Plan()
    condition = "" if schema_revision else "if its tables have moved on, "
    after = f"{condition}the backup of {backup.made_at:%Y-%m-%d %H:%M:%S} UTC: {LOST}"
    return Plan((Change(Action.UPDATE, TITLE, schema_revision or "cannot be read now", after),))


def permissions(hub: Hub) -> tuple[Access, ...]:
    """What the account needs for this phase beyond that of others."""
    namespace = hub.cluster.namespace
    return (*(Access(verb, EXEC, namespace) for verb in ("create", "get")), Access("delete", POD, namespace))
