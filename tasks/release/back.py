"""Phase release, going back: a release that once passed its checks runs again, by its number or from its record."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from prefect.logging import get_run_logger

from config.spec import Hub
from tasks.core.change import Action, Change, Plan, compare
from tasks.core.errors import Permanent
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.record import ReleaseRecord, record_of
from tasks.core.records import list_records
from tasks.core.task import hub_task
from tasks.core.wait import ask_patiently
from tasks.release.client import Helm
from tasks.release.health import SeenHealth, health_of
from tasks.release.look import read_drift
from tasks.release.restarts import hub_image, plan_restarts, restarting
from tasks.release.state import DeployedRelease, ReleasePlan, RenderedRevision, Revision
from tasks.release.upgrade import roll_back_release, upgrade_release

FINISHED = ("deployed", "superseded")


@hub_task(name="list records", description="Reads what is on record of the hub's releases.")
def read_records(hub: Hub) -> tuple[ReleaseRecord, ...]:
    """The records of the hub's releases, newest first. Reads only, and waits for an API server that restarts."""
    kubernetes = Kubernetes.connect()

    def read() -> tuple[ReleaseRecord, ...]:
        return list_records(kubernetes, hub.cluster.namespace, hub.release.name)

    return ask_patiently(read, get_run_logger().info)


@hub_task(name="look at health", description="Looks how the newest revision stands, by Helm and by the records.")
def look_at_health(hub: Hub) -> SeenHealth:
    """How the release stands. Reads only."""
    records = list_records(Kubernetes.connect(), hub.cluster.namespace, hub.release.name)
    return health_of(Helm(hub.cluster.namespace).list_revisions(hub.release.name), records)


@hub_task(name="plan release back", description="Compares the release that runs with the one to go back to.")
def plan_release_back(hub: Hub, target: ReleaseRecord) -> ReleasePlan:
    """What ``restore_release`` would change, and which pods restart for it. Reads only."""
    helm = Helm(hub.cluster.namespace)
    newest = helm.read_revision(hub.release.name)
    if newest is None:
        asked = f"go back to revision {target.revision}"
        raise Permanent("helm", asked, "the release is gone", "deploy the hub: its volumes are still there")
    if _running(hub, newest.revision, target):
        drift = read_drift(hub, Kubernetes.connect(), newest.objects)
        return ReleasePlan(drift, _deployed(hub, target, newest))
    title = f"Release {hub.release.name}"
    changes = [Change.of(Action.UPDATE, f"{title} revision", newest.revision.number, f"what {target.revision} ran")]
    if newest.revision.chart != target.chart:
        changes.append(Change.of(Action.UPDATE, f"{title} chart", newest.revision.chart, target.chart))
    if target.values is not None:
        changes += compare(f"{title} value", helm.read_values(hub.release.name), target.values)
    then = helm.read_revision(hub.release.name, target.revision)
    restarts = restarting(newest.objects, then.objects) if then else ()
    now, old = hub_image(newest.objects), target.hub_image or (hub_image(then.objects) if then else "")
    return ReleasePlan(Plan(tuple(changes)) + plan_restarts(restarts), None, restarts, now if now != old else None)


@hub_task(name="restore release", description="Brings a release back that passed its checks.")
def restore_release(hub: Hub, target: ReleaseRecord, fence: Fence) -> DeployedRelease:
    """What the target ran runs again, as a revision of its own; nothing is done where it does already.

    What somebody changed by hand is put right too. Helm goes back by the target's number. One that Helm has forgotten
    is installed anew from its record: the same chart, by its digest, with the same values.
    """
    kubernetes, helm = Kubernetes.connect(may_write=fence.check), Helm(hub.cluster.namespace, fence.check)
    newest = helm.read_revision(hub.release.name)
    if not (newest and _running(hub, newest.revision, target) and read_drift(hub, kubernetes, newest.objects).empty):
        history = helm.list_revisions(hub.release.name)
        get_run_logger().warning("going back to revision %s, which passed its checks", target.revision)
        if any(one.number == target.revision and one.status in FINISHED for one in history):
            roll_back_release(hub, helm, kubernetes, target.revision)
        else:
            _install_again(hub, target, helm, kubernetes)
        newest = helm.read_revision(hub.release.name)
    assert newest, "it was restored just now"
    return _deployed(hub, target, newest)


def _running(hub: Hub, newest: Revision, target: ReleaseRecord) -> bool:
    """Whether Helm finished the newest revision, and it runs what the target ran."""
    if newest.status != "deployed" or newest.number == target.revision:
        return newest.status == "deployed"
    records = list_records(Kubernetes.connect(), hub.cluster.namespace, hub.release.name)
    record = record_of(records, newest.number)
    return record is not None and record.stands_for == target.stands_for


def _install_again(hub: Hub, target: ReleaseRecord, helm: Helm, kubernetes: Kubernetes) -> None:
    get_run_logger().warning("Helm has forgotten revision %s: it is installed from its record", target.revision)
    if target.values is None:
        remedy = "deploy the hub from its profile"
        raise Permanent("records", f"go back to revision {target.revision}", "its record has no values", remedy)
    chart = hub.release.chart.model_copy(update={"digest": target.chart_digest})
    with TemporaryDirectory(prefix="hubwright-") as folder:
        archive = helm.read_chart(chart, Path(folder))
        upgrade_release(hub, helm, kubernetes, archive.path, target.values)


def _deployed(hub: Hub, target: ReleaseRecord, newest: RenderedRevision) -> DeployedRelease:
    values = target.values
    if values is None:
        values = Helm(hub.cluster.namespace).read_values(hub.release.name)
    return DeployedRelease(newest.revision.number, target.chart, target.chart_digest, values, hub_image(newest.objects))
