"""Phase release: the Helm release runs this chart, these values, this image."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from prefect.logging import get_run_logger
from pydantic import SecretStr

from config.identity import PasswordIdentity
from config.images import PinnedImage, PinnedImages
from config.oidc import SignIn
from config.server import Gpu
from config.spec import Hub
from config.types import parse_duration
from tasks.core.access import access_problems
from tasks.core.address import Address
from tasks.core.change import Plan
from tasks.core.errors import HubError, Permanent
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.names import CHART_SECRET, ROUTES_SERVICE, token_key
from tasks.core.objects import NODE, SECRET, Body
from tasks.core.pods import PodWatch
from tasks.core.problems import Problem
from tasks.core.records import (
    CheckResult,
    ReleaseRecord,
    ensure_record,
    list_records,
    newest_healthy,
    record_of,
)
from tasks.core.secrets import mark_of, read_secret
from tasks.core.task import hub_task
from tasks.core.trust import trust
from tasks.release import plan
from tasks.release.client import Helm
from tasks.release.drift import kind_of, plan_drift
from tasks.release.hub import restore_routes
from tasks.release.plan import WantedRelease, permissions
from tasks.release.preflight import chart_problems, offered_gpu
from tasks.release.state import ChartArchive, ReleaseStatus, Revision, SeenRelease, last_good, status_of
from tasks.release.values import Values, WantedValues, values_for, values_hash

HUB_PODS = "component in (hub, proxy)"
READERS = 8
"""Objects are read so many at a time."""


@dataclass(frozen=True)
class DeployedRelease:
    """What runs after the release phase."""

    revision: int
    chart: str
    chart_digest: str
    values_hash: str


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
def plan_release(hub: Hub, wanted: WantedRelease) -> tuple[Plan, DeployedRelease | None]:
    """What ``ensure_release`` would change, and what it would return if that is nothing. Reads only."""
    seen = _observe(hub, wanted, Helm(hub.cluster.namespace), Kubernetes.connect())
    changes = plan.plan_release(wanted, seen)
    return changes, _deployed(seen.revision, wanted) if changes.empty else None


@hub_task(name="ensure release", description="Installs or upgrades the Helm release, and waits for its pods.")
def ensure_release(hub: Hub, wanted: WantedRelease, fence: Fence) -> DeployedRelease:
    """The release runs what is wanted, and its pods are ready. Makes no revision when it did already."""
    kubernetes, helm = Kubernetes.connect(), Helm(hub.cluster.namespace, fence.check)
    seen = _observe(hub, wanted, helm, kubernetes)
    if plan.plan_release(wanted, seen).empty:
        return _deployed(seen.revision, wanted)
    if seen.status is ReleaseStatus.PENDING:
        _unlock(hub, helm, helm.list_revisions(hub.release.name))
    watch = PodWatch(kubernetes, hub.cluster.namespace, HUB_PODS, get_run_logger().info)
    helm.upgrade(hub.release.name, wanted.chart.path, wanted.values, _timeout(hub), get_run_logger().info, watch.look)
    _restore_routes(hub, kubernetes)
    return _deployed(helm.list_revisions(hub.release.name)[-1].number, wanted)


@hub_task(name="record release", description="Keeps what was released, and how its checks ended.")
def record_release(
    hub: Hub, image: PinnedImage, release: DeployedRelease, checks: tuple[CheckResult, ...], fence: Fence
) -> ReleaseRecord:
    """The record is kept beside the hub. Nothing is written when a healthy one of this revision was there."""
    record = ReleaseRecord(
        hub=hub.name,
        release=hub.release.name,
        revision=release.revision,
        chart=release.chart,
        chart_digest=release.chart_digest,
        values_hash=release.values_hash,
        image=str(image),
        checks=checks,
        recorded_at=datetime.now(UTC),
    )
    ensure_record(Kubernetes.connect(may_write=fence.check), hub.cluster.namespace, record)
    return record


@hub_task(name="restore release", description="Brings the newest healthy release back.")
def restore_release(hub: Hub, fence: Fence) -> ReleaseRecord | None:
    """The newest release that passed its checks serves; None when none ever did, or the release is gone.

    Nothing is done when that is the one which runs: then what failed is not in the release.
    """
    kubernetes, helm = Kubernetes.connect(), Helm(hub.cluster.namespace, fence.check)
    target = newest_healthy(list_records(kubernetes, hub.cluster.namespace, hub.release.name))
    history = helm.list_revisions(hub.release.name)
    if not history:
        return None
    if target and history[-1].number != target.revision:
        get_run_logger().warning("going back to revision %s, the newest that passed its checks", target.revision)
        watch = PodWatch(kubernetes, hub.cluster.namespace, HUB_PODS, get_run_logger().info)
        helm.rollback(hub.release.name, target.revision, _timeout(hub), get_run_logger().info, watch.look)
        _restore_routes(hub, kubernetes)
    return target


def _observe(hub: Hub, wanted: WantedRelease, helm: Helm, kubernetes: Kubernetes) -> SeenRelease:
    with ThreadPoolExecutor(READERS) as pool:
        records = pool.submit(list_records, kubernetes, hub.cluster.namespace, wanted.name)
        newest = helm.read_newest(wanted.name)
        if newest is None:
            return SeenRelease(*status_of(()))
        rendered = [found for found in newest.objects if kind_of(found)]
        seen = pool.map(partial(_read_rendered, hub, kubernetes), rendered)
        drift = plan_drift(zip(rendered, seen, strict=True))
    last = newest.revision
    record = record_of(records.result(), last.number)
    # What is on record need not be asked of Helm again, which takes its time to start.
    same = record and record.values_hash == values_hash(wanted.values)
    values = wanted.values if same else helm.read_values(wanted.name)
    return SeenRelease(
        *status_of([last]), last.number, last.chart, record.chart_digest if record else None, values, drift
    )


def _read_rendered(hub: Hub, kubernetes: Kubernetes, rendered: Body) -> Body | None:
    kind = kind_of(rendered)
    assert kind
    return kubernetes.read(kind, rendered["metadata"]["name"], hub.cluster.namespace)


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


def _unlock(hub: Hub, helm: Helm, history: tuple[Revision, ...]) -> None:
    target = last_good(history) or history[-1].number
    get_run_logger().warning("%s; going to revision %s to free it", status_of(history)[1], target)
    helm.free(hub.release.name, target)


def _restore_routes(hub: Hub, kubernetes: Kubernetes) -> None:
    """Not worth failing for: the hub puts them back itself a little later."""
    secret = kubernetes.read(SECRET, CHART_SECRET, hub.cluster.namespace) or {}
    token = base64.b64decode(secret.get("data", {}).get(token_key(ROUTES_SERVICE), "")).decode()
    try:
        restore_routes(Address.of(hub), SecretStr(token))
    except HubError as error:
        get_run_logger().warning("the proxy's routes come back by themselves in some seconds: %s", error)


def _deployed(revision: int, wanted: WantedRelease) -> DeployedRelease:
    return DeployedRelease(revision, wanted.chart.title, wanted.chart.digest, values_hash(wanted.values))


def _timeout(hub: Hub) -> float:
    return parse_duration(hub.release.timeout).total_seconds()
