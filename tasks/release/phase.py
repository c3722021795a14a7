"""Phase release: the Helm release runs this chart, these values, this image."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from prefect.logging import get_run_logger

from config.identity import PasswordIdentity
from config.images import PinnedImage, PinnedImages
from config.oidc import SignIn
from config.server import Gpu
from config.spec import Hub
from tasks.core.access import access_problems
from tasks.core.errors import Permanent
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import NODE, Body
from tasks.core.problems import Problem
from tasks.core.record import CheckResult, ReleaseRecord, record_of
from tasks.core.records import ensure_record, list_records, trim_records
from tasks.core.secrets import mark_of, read_secret
from tasks.core.task import hub_task
from tasks.core.trust import trust
from tasks.release import plan
from tasks.release.client import Helm
from tasks.release.look import read_drift
from tasks.release.plan import WantedRelease, permissions
from tasks.release.preflight import chart_problems, offered_gpu
from tasks.release.restarts import edited, hub_image, plan_restarts, restarting
from tasks.release.state import ChartArchive, DeployedRelease, ReleasePlan, ReleaseStatus, SeenRelease, status_of
from tasks.release.upgrade import upgrade_release
from tasks.release.values import Values, WantedValues, values_for, values_hash


@hub_task(name="fetch chart", description="Brings the Helm chart here, and checks its digest.")
def fetch_chart(hub: Hub, folder: Path) -> ChartArchive:
    """The chart is on disk, in ``folder`` if it had to be downloaded, and there is a Helm that can install it."""
    helm = Helm(hub.cluster.namespace)
    with ThreadPoolExecutor() as pool:
        version = pool.submit(helm.read_version)
        chart = helm.read_chart(hub.release.chart, folder)
        version.result()
        return chart


@hub_task(name="check release", description="Looks for what would keep Helm from installing the chart.")
def check_release(hub: Hub, chart: ChartArchive | None) -> tuple[Problem, ...]:
    """What stands in the way of this phase. Reads only."""
    kubernetes = Kubernetes.connect()
    denied = kubernetes.list_denied(permissions(hub), hub.cluster.namespace)
    return (*access_problems(denied), *(chart_problems(chart, kubernetes.read_version()) if chart else ()))


@hub_task(name="want values", description="Works out the chart's values for the hub.")
def want_values(hub: Hub, images: PinnedImages, sign_in: SignIn | None) -> Values:
    """The release's values as the profile asks for them, in a cluster that has what this one has. Reads only."""
    kubernetes = Kubernetes.connect()
    mark = (sign_in.secret_mark or "") if sign_in else _mark_passwords(hub, kubernetes)
    return values_for(WantedValues(hub, images, mark, _gpu(hub, kubernetes), sign_in, _read_authority(hub)))


@hub_task(name="plan release", description="Compares the Helm release with the one that the profile asks for.")
def plan_release(hub: Hub, wanted: WantedRelease) -> ReleasePlan:
    """What ``ensure_release`` would change, what it would return if that is nothing, and which pods restart.

    Reads only.
    """
    helm = Helm(hub.cluster.namespace)
    seen = _observe(hub, wanted, helm, Kubernetes.connect())
    changes = plan.plan_release(wanted, seen)
    if changes.empty:
        return ReleasePlan(changes, _deployed(seen.revision, wanted, seen.objects))
    now = hub_image(seen.objects)
    if seen.status is ReleaseStatus.ABSENT:
        return ReleasePlan(changes)
    if seen.status is ReleaseStatus.PENDING:  # Helm renders nothing now: take it that another hub's image comes
        return ReleasePlan(changes, replaces=now or None)
    rendered = helm.render(wanted.name, wanted.chart.path, wanted.values)
    restarts = tuple(sorted({*restarting(seen.objects, rendered), *edited(seen.drift)}))
    moves = now not in ("", hub_image(rendered))
    return ReleasePlan(changes + plan_restarts(restarts), None, restarts, now if moves else None)


@hub_task(name="ensure release", description="Installs or upgrades the Helm release, and waits for its pods.")
def ensure_release(hub: Hub, wanted: WantedRelease, fence: Fence) -> DeployedRelease:
    """The release runs what is wanted, and its pods are ready. Makes no revision when it did already."""
    kubernetes, helm = Kubernetes.connect(), Helm(hub.cluster.namespace, fence.check)
    seen = _observe(hub, wanted, helm, kubernetes)
    if plan.plan_release(wanted, seen).empty:
        return _deployed(seen.revision, wanted, seen.objects)
    upgrade_release(hub, helm, kubernetes, wanted.chart.path, wanted.values)
    newest = helm.read_revision(wanted.name)
    assert newest, "it was installed just now"
    return _deployed(newest.revision.number, wanted, newest.objects)


@hub_task(name="record release", description="Keeps what was released, and how its checks ended.")
def record_release(
    hub: Hub,
    image: PinnedImage,
    release: DeployedRelease,
    fence: Fence,
    checks: tuple[CheckResult, ...] = (),
    origin: int | None = None,
    schema_revision: str | None = None,
) -> ReleaseRecord:
    """The record is kept beside the hub; without checks it says that nobody has proved the release yet.

    Nothing is written when a healthy one of this revision told the same. The oldest records give way.
    """
    record = ReleaseRecord(
        hub=hub.name,
        release=hub.release.name,
        revision=release.revision,
        chart=release.chart,
        chart_digest=release.chart_digest,
        values_hash=values_hash(release.values),
        values=release.values,
        profile=hub.model_dump(mode="json"),
        image=str(image),
        hub_image=release.hub_image,
        schema_revision=schema_revision,
        origin=origin,
        checks=checks,
        recorded_at=datetime.now(UTC),
    )
    kubernetes, namespace = Kubernetes.connect(may_write=fence.check), hub.cluster.namespace
    kept = ensure_record(kubernetes, namespace, record)
    trim_records(kubernetes, namespace, list_records(kubernetes, namespace, hub.release.name), kept)
    return kept if kept.healthy == record.healthy else record


def _observe(hub: Hub, wanted: WantedRelease, helm: Helm, kubernetes: Kubernetes) -> SeenRelease:
    with ThreadPoolExecutor() as pool:
        records = pool.submit(list_records, kubernetes, hub.cluster.namespace, wanted.name)
        newest = helm.read_revision(wanted.name)
        if newest is None:
            return SeenRelease(*status_of(()))
        drift = read_drift(hub, kubernetes, newest.objects)
    last = newest.revision
    record = record_of(records.result(), last.number)
    # What is on record need not be asked of Helm again, which takes its time to start.
    same = record and record.values_hash == values_hash(wanted.values)
    values = wanted.values if same else helm.read_values(wanted.name)
    digest = record.chart_digest if record else None
    return SeenRelease(*status_of([last]), last.number, last.chart, digest, values, drift, newest.objects)


def _mark_passwords(hub: Hub, kubernetes: Kubernetes) -> str:
    identity = hub.identity
    assert isinstance(identity, PasswordIdentity)
    refs = [identity.password] + ([identity.admin_password] if identity.admin_password else [])
    return mark_of([read_secret(ref, kubernetes) for ref in refs], f"{hub.cluster.namespace}/{hub.release.name}")


def _read_authority(hub: Hub) -> str | None:
    """The CA that the hub's pod verifies the provider by, since the pod has no such file."""
    if isinstance(hub.identity, PasswordIdentity) or hub.identity.ca is None:
        return None
    trust("profile", hub.identity.ca, "identity.ca")  # whether it is one at all
    return Path(hub.identity.ca).read_text(encoding="utf-8")


def _gpu(hub: Hub, kubernetes: Kubernetes) -> Gpu | None:
    if hub.server.gpu is None:
        return None
    try:
        return offered_gpu(hub, kubernetes.list(NODE, None))
    except Permanent as error:
        get_run_logger().warning("no GPU is offered, because the nodes cannot be seen: %s", error.answered)
        return None


def _deployed(revision: int, wanted: WantedRelease, objects: Iterable[Body]) -> DeployedRelease:
    return DeployedRelease(revision, wanted.chart.title, wanted.chart.digest, wanted.values, hub_image(objects))
