"""Phase cluster, going back: objects and secrets are as a release that passed its checks had them, and no volume is."""

from __future__ import annotations

from prefect.logging import get_run_logger

from config.spec import Hub
from tasks.cluster.plan import HubSecrets, secret_object, wanted_objects
from tasks.cluster.secrets import chosen_refs, read_kept, read_keys, read_used
from tasks.core.change import Plan
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.names import copy_of
from tasks.core.objects import CLAIM, WantedObject, no_longer_wanted
from tasks.core.task import hub_task


@hub_task(
    name="keep secrets", description="Keeps a copy of what people chose, as a release that passed its checks has it."
)
def keep_secrets(hub: Hub, fence: Fence) -> None:
    """A later release that breaks them can be turned round. Writes nothing when the copy is the same."""
    kubernetes = Kubernetes.connect(may_write=fence.check)
    for name, data in read_used(hub, kubernetes).items():
        kubernetes.ensure(secret_object(copy_of(name), hub.cluster.namespace, data))


@hub_task(name="plan cluster back", description="Compares the hub's objects with those of the release to go back to.")
def plan_cluster_back(hub: Hub) -> Plan:
    """What ``restore_cluster`` would change. Reads only."""
    kubernetes = Kubernetes.connect()
    return sum((kubernetes.plan(wanted) for wanted in _wanted(hub, kubernetes)), Plan())


@hub_task(name="restore cluster", description="Brings the hub's objects back as a healthy release had them.")
def restore_cluster(hub: Hub, fence: Fence) -> Plan:
    """The objects that the hub needs are as its profile was then; returns what changed. Volumes are left alone."""
    kubernetes = Kubernetes.connect(may_write=fence.check)
    done = Plan()
    for wanted in _wanted(hub, kubernetes):
        changes = kubernetes.ensure(wanted)
        if not changes.empty:
            get_run_logger().info("%s is as it was", wanted.title)
        done += changes
    return done


def left_behind(present: Hub, back: Hub) -> tuple[str, ...]:
    """What the present profile has of this phase, and nothing refers to once another one is back. Pure."""
    return no_longer_wanted(_named(present), _named(back))


def _wanted(hub: Hub, kubernetes: Kubernetes) -> list[WantedObject]:
    """All but the claims: storage neither shrinks nor goes."""
    secrets = HubSecrets(read_kept(hub, kubernetes), read_keys(hub, kubernetes))
    return [wanted for wanted in wanted_objects(hub, secrets) if wanted.kind != CLAIM]


def _named(hub: Hub) -> tuple[WantedObject, ...]:
    return wanted_objects(hub, HubSecrets({name: {} for name in chosen_refs(hub)}, {}))
