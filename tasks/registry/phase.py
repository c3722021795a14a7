"""Phase registry: which images run, by digest; and the hub's project, robots and rules in its Harbor."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import assert_never

from prefect.logging import get_run_logger
from pydantic import SecretStr

from config.images import PinnedImage, PinnedImages
from config.spec import Hub
from config.types import split_image
from tasks.core.change import Plan
from tasks.core.errors import Conflict, Permanent
from tasks.core.fence import Fence
from tasks.core.kubernetes import Kubernetes
from tasks.core.login import Login
from tasks.core.objects import Body, WantedObject
from tasks.core.problems import NotReady, Problem, require_ready
from tasks.core.secrets import read_secret
from tasks.core.task import hub_task
from tasks.core.wait import ask_patiently
from tasks.registry.client import Harbor
from tasks.registry.distribution import Registry
from tasks.registry.look import as_user, see
from tasks.registry.plan import plan_project, plan_robots, secret_plan, wanted_robot, wanted_secret
from tasks.registry.policies import immutable_rule, plan_policies, retention, webhook
from tasks.registry.preflight import registry_problems
from tasks.registry.state import Kind, RobotStatus, SeenHarbor, harbor_of, place_of, status_of


@dataclass(frozen=True)
class RegistryLook:
    """What one look at Harbor shows: what stands in the way, and what would change."""

    problems: tuple[Problem, ...]
    plan: Plan


@hub_task(name="pin images", description="Looks up the digest of every image that the profile names by tag.")
def pin_images(hub: Hub, digest: str | None = None) -> PinnedImages:
    """The hub's images, each by digest: the notebook's by the one that is given, or else by its tag.

    Raises Permanent for one that the registry does not have.
    """
    system, ca, login = hub.release.images, hub.registry.ca, _read_login(hub)
    return PinnedImages(
        notebook=hub.image.pinned(digest) if digest else _pin(hub, hub.image.reference, ca, login),
        hub=_pin(hub, system.hub, ca, login) if system.hub else None,
        proxy=_pin(hub, system.proxy, ca, login) if system.proxy else None,
        offered={key: _pin(hub, image.reference, ca, login) for key, image in hub.images.items()},
    )


@hub_task(name="pin base", description="Looks up the digest of the image that the hub's own is built from.")
def pin_base(hub: Hub) -> PinnedImage:
    """The base by digest. Raises Permanent when its registry does not have it, NotReady without image.build."""
    build = hub.image.build
    if build is None:
        remedy = "say in image.build how it is made, or have whoever makes it push it"
        raise NotReady(hub.name, "make its image", "the profile has no image.build", remedy)
    return _pin(hub, build.base, build.base_ca, _read_login(hub))


@hub_task(name="look at Harbor", description="Compares the hub's Harbor with what the hub needs of it.")
def look_at_registry(hub: Hub) -> RegistryLook:
    """What this phase would change, and what stands in its way. Reads only, and waits for a Harbor that restarts."""
    kubernetes, now = Kubernetes.connect(), datetime.now(UTC)
    with looked(hub, kubernetes) as (_, seen):
        problems = registry_problems(hub, seen, now)
        if not seen.managed:
            return RegistryLook(problems, Plan())
        policies = plan_policies(hub, seen, _read_authorization(hub, kubernetes))
        return RegistryLook(problems, plan_project(hub, seen) + plan_robots(hub, seen, now) + policies)


@hub_task(name="ensure project", description="Makes the project of the hub's image in Harbor.")
def ensure_project(hub: Hub, fence: Fence) -> Plan:
    """The project is there; returns what changed. One that was there stays as people set it."""
    with looked(hub, Kubernetes.connect(), fence.check) as (harbor, seen):
        plan = plan_project(hub, seen)
        if not plan.empty:
            _require_ready(hub, seen)
            with suppress(Conflict):  # another hub of this project was faster
                harbor.create_project()
        return plan


@hub_task(name="ensure robots", description="Makes or renews the hub's robots, and keeps their logins beside the hub.")
def ensure_robots(hub: Hub, fence: Fence) -> Plan:
    """The robots are there, good for long enough, and their logins in Secrets beside the hub; returns what changed."""
    kubernetes, now = Kubernetes.connect(may_write=fence.check), datetime.now(UTC)
    with looked(hub, kubernetes, fence.check) as (harbor, seen):
        _require_project(hub, seen)
        plan = plan_robots(hub, seen, now)
        for kind in Kind:
            _ensure_robot(hub, harbor, kubernetes, seen, kind)
        return plan


@hub_task(name="ensure policies", description="Sets retention, immutable tags and webhook of the hub's project.")
def ensure_policies(hub: Hub, fence: Fence) -> Plan:
    """Harbor keeps, protects and tells what the profile says; returns what changed. What others set stays."""
    kubernetes = Kubernetes.connect()
    with looked(hub, kubernetes, fence.check) as (harbor, seen):
        _require_project(hub, seen)
        authorization = _read_authorization(hub, kubernetes)
        # What protects comes before what deletes.
        _ensure_immutable_rule(hub, harbor, seen)
        _ensure_retention(hub, harbor, seen)
        _ensure_webhook(hub, harbor, seen, authorization)
        return plan_policies(hub, seen, authorization)


@contextmanager
def looked(
    hub: Hub, kubernetes: Kubernetes, may_write: Callable[[], None] = lambda: None
) -> Generator[tuple[Harbor, SeenHarbor]]:
    """The Harbor as it is, and a way to change it; waits for one that restarts."""
    with as_user(hub, kubernetes, may_write) as harbor:
        yield harbor, ask_patiently(lambda: see(hub, harbor, kubernetes), get_run_logger().info)


def _require_ready(hub: Hub, seen: SeenHarbor) -> None:
    require_ready(hub.name, registry_problems(hub, seen, datetime.now(UTC)))


def _require_project(hub: Hub, seen: SeenHarbor) -> None:
    """Raises Permanent while the project is not there, and NotReady when something stands in the way."""
    _require_ready(hub, seen)
    if seen.project is None:
        raise Permanent("Harbor", f"find project {place_of(hub).project}", "somebody deleted it meanwhile", "run again")


def _ensure_robot(hub: Hub, harbor: Harbor, kubernetes: Kubernetes, seen: SeenHarbor, kind: Kind) -> None:
    status, reason = status_of(hub, seen, kind, datetime.now(UTC))
    robot, kept = seen.robot(hub, kind), seen.kept[kind]
    match status:
        case RobotStatus.ABSENT | RobotStatus.EXPIRED | RobotStatus.LOCKED_OUT | RobotStatus.ENDING:
            get_run_logger().info("robot of %s for %s is made: %s", hub.name, kind, reason)
            if robot:
                harbor.delete_robot(robot)  # its time counts from its making
            credential = harbor.create_robot(wanted_robot(hub, kind))
            _keep(kubernetes, wanted_secret(hub, kind, credential), kept.body)
        case RobotStatus.DRIFTED | RobotStatus.GOOD:
            assert robot
            assert kept.credential
            if status is RobotStatus.DRIFTED:
                harbor.update_robot(robot, wanted_robot(hub, kind))
            if not secret_plan(hub, seen, kind).empty:
                _keep(kubernetes, wanted_secret(hub, kind, kept.credential), kept.body)
        case RobotStatus.DISABLED:
            raise AssertionError("it is a fatal problem")
        case _:
            assert_never(status)


def _keep(kubernetes: Kubernetes, wanted: WantedObject, seen: Body | None) -> None:
    """The Secret is ours as a whole: what somebody else wrote into it is replaced, whoever managed those fields."""
    if seen is None:
        kubernetes.create(wanted)
    else:
        kubernetes.replace(wanted)


def _ensure_immutable_rule(hub: Hub, harbor: Harbor, seen: SeenHarbor) -> None:
    ours = immutable_rule(hub, seen)
    if ours.plan.empty or ours.wanted is None:
        return
    if ours.id is None:
        harbor.create_immutable_rule(ours.wanted)
    else:
        harbor.update_immutable_rule(ours.wanted)


def _ensure_retention(hub: Hub, harbor: Harbor, seen: SeenHarbor) -> None:
    ours = retention(hub, seen)
    if ours.plan.empty or ours.wanted is None:
        return
    if ours.id is None:
        harbor.create_retention(ours.wanted)
    else:
        harbor.update_retention(ours.id, ours.wanted)


def _ensure_webhook(hub: Hub, harbor: Harbor, seen: SeenHarbor, authorization: SecretStr | None) -> None:
    ours = webhook(hub, seen, authorization)
    if ours.plan.empty:
        return
    if ours.wanted is None:
        assert ours.id is not None
        harbor.delete_policy(ours.id)
    elif ours.id is None:
        harbor.create_policy(ours.wanted)
    else:
        harbor.update_policy(ours.id, ours.wanted)


def _read_authorization(hub: Hub, kubernetes: Kubernetes) -> SecretStr | None:
    part = harbor_of(hub).webhook
    return read_secret(part.authorization, kubernetes) if part else None


def _read_login(hub: Hub) -> Login | None:
    """As whom the hub's own Harbor is asked for digests; any other registry is asked as nobody."""
    part = hub.registry.harbor
    return Login(part.user, read_secret(part.password, Kubernetes.connect())) if part else None


def _pin(hub: Hub, reference: str, ca: str | None, login: Login | None) -> PinnedImage:
    host, repository, tag, digest = split_image(reference)
    if digest is None:
        assert tag  # a valid reference has one of the two
        own = login if login and host == place_of(hub).host else None
        with closing(Registry(host, ca, own)) as registry:
            digest = registry.read_digest(repository, tag)
        get_run_logger().info("%s is %s", reference, digest)
    return PinnedImage(host, repository, digest)
