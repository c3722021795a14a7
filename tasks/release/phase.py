"""Phase release: the Helm release runs this chart, these values, this image."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from prefect.logging import get_run_logger

from config.images import PinnedImage, PinnedImages
from config.spec import Hub
from config.types import parse_duration
from tasks.core.change import Plan
from tasks.core.errors import Transient
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import POD
from tasks.core.records import (
    CheckResult,
    ReleaseRecord,
    ensure_record,
    list_records,
    newest_healthy,
    record_of,
)
from tasks.core.secrets import read_secret
from tasks.core.task import hub_task
from tasks.release import plan
from tasks.release.client import ChartArchive, Helm
from tasks.release.plan import WantedRelease
from tasks.release.state import ReleaseStatus, Revision, SeenRelease, last_good, pod_phrase, status_of
from tasks.release.values import Values, fingerprint, values_for, values_hash


@dataclass(frozen=True)
class DeployedRelease:
    """What runs after the release phase."""

    revision: int
    chart: str
    chart_digest: str
    values_hash: str


@hub_task(name="plan release", description="Compares the Helm release with the one that the profile asks for.")
def plan_release(hub: Hub, images: PinnedImages, passwords_secret: str) -> Plan:
    """What ``ensure_release`` would change. Reads only."""
    kubernetes, helm = Kubernetes.connect(), Helm(hub.cluster.namespace)
    with TemporaryDirectory() as folder:
        chart = helm.read_chart(hub.release.chart, Path(folder))
    wanted = _wanted(hub, chart, _values(hub, images, passwords_secret, kubernetes))
    return plan.plan_release(wanted, _observe(hub, helm, kubernetes))


@hub_task(name="ensure release", description="Installs or upgrades the Helm release, and waits for its pods.")
def ensure_release(hub: Hub, images: PinnedImages, passwords_secret: str) -> DeployedRelease:
    """The release runs what the spec says, and its pods are ready. Makes no revision when it did already."""
    kubernetes, helm = Kubernetes.connect(), Helm(hub.cluster.namespace)
    with TemporaryDirectory() as folder:
        chart = helm.read_chart(hub.release.chart, Path(folder))
        wanted = _wanted(hub, chart, _values(hub, images, passwords_secret, kubernetes))
        seen = _observe(hub, helm, kubernetes)
        if plan.plan_release(wanted, seen).empty:
            return _deployed(seen.revision, wanted)
        if seen.status is ReleaseStatus.PENDING:
            _unlock(hub, helm, helm.list_revisions(hub.release.name))
        _upgrade(hub, helm, kubernetes, chart.path, wanted.values)
    return _deployed(helm.list_revisions(hub.release.name)[-1].number, wanted)


@hub_task(name="record release", description="Keeps what was released, and how its checks ended.")
def record_release(
    hub: Hub, image: PinnedImage, release: DeployedRelease, checks: tuple[CheckResult, ...]
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
    ensure_record(Kubernetes.connect(), hub.cluster.namespace, record)
    return record


@hub_task(name="restore release", description="Brings the newest healthy release back.")
def restore_release(hub: Hub) -> ReleaseRecord | None:
    """The newest release that passed its checks serves; None when none ever did, or the release is gone.

    Nothing is done when that is the one which runs: then what failed is not in the release.
    """
    kubernetes, helm = Kubernetes.connect(), Helm(hub.cluster.namespace)
    target = newest_healthy(list_records(kubernetes, hub.cluster.namespace, hub.release.name))
    history = helm.list_revisions(hub.release.name)
    if not history:
        return None
    if target and history[-1].number != target.revision:
        get_run_logger().warning("going back to revision %s, the newest that passed its checks", target.revision)
        helm.rollback(hub.release.name, target.revision, _timeout(hub), get_run_logger().info)
    return target


def _observe(hub: Hub, helm: Helm, kubernetes: Kubernetes) -> SeenRelease:
    history = helm.list_revisions(hub.release.name)
    status, reason = status_of(history)
    if not history:
        return SeenRelease(status, reason)
    last = history[-1]
    record = record_of(list_records(kubernetes, hub.cluster.namespace, hub.release.name), last.number)
    digest = record.chart_digest if record else None
    return SeenRelease(status, reason, last.number, last.chart, digest, helm.read_values(hub.release.name, last.number))


def _unlock(hub: Hub, helm: Helm, history: tuple[Revision, ...]) -> None:
    target = last_good(history) or history[-1].number
    get_run_logger().warning("%s; going to revision %s to free it", status_of(history)[1], target)
    helm.free(hub.release.name, target)


def _upgrade(hub: Hub, helm: Helm, kubernetes: Kubernetes, chart: Path, values: Values) -> None:
    logger = get_run_logger()
    shown: set[str] = set()

    def show_pods() -> None:
        try:
            pods = kubernetes.list(POD, hub.cluster.namespace, "component in (hub, proxy)")
            phrases = {pod_phrase(pod) for pod in pods}
        except Transient as error:
            phrases = {error.answered}  # Helm may outlast it; a look at the pods must not end the upgrade
        for phrase in sorted(phrases - shown):
            logger.info("waiting: %s", phrase)
        shown.update(phrases)

    helm.upgrade(hub.release.name, chart, values, _timeout(hub), logger.info, show_pods)


def _values(hub: Hub, images: PinnedImages, passwords_secret: str, kubernetes: Kubernetes) -> Values:
    refs = [hub.identity.password] + ([hub.identity.admin_password] if hub.identity.admin_password else [])
    mark = fingerprint([read_secret(ref, kubernetes) for ref in refs], f"{hub.cluster.namespace}/{hub.release.name}")
    return values_for(hub, images, passwords_secret, mark)


def _wanted(hub: Hub, chart: ChartArchive, values: Values) -> WantedRelease:
    return WantedRelease(hub.release.name, chart.title, chart.digest, values)


def _deployed(revision: int, wanted: WantedRelease) -> DeployedRelease:
    return DeployedRelease(revision, wanted.chart, wanted.chart_digest, values_hash(wanted.values))


def _timeout(hub: Hub) -> float:
    return parse_duration(hub.release.timeout).total_seconds()
