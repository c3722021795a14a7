"""Ways into a Harbor, as the profile's user or as the hub's own robot, and what the user sees there of one hub."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from config.spec import Hub
from tasks.core.errors import Permanent
from tasks.core.kubernetes import Kubernetes
from tasks.core.login import Login
from tasks.core.objects import SECRET
from tasks.core.robots import read_build_robot
from tasks.core.secrets import read_secret
from tasks.registry.client import Harbor
from tasks.registry.distribution import Registry
from tasks.registry.refusal import Forbidden
from tasks.registry.state import (
    KeptLogin,
    Kind,
    SeenHarbor,
    SeenProject,
    harbor_of,
    kept_credential,
    place_of,
)


def as_user(hub: Hub, kubernetes: Kubernetes, may_write: Callable[[], None] = lambda: None) -> closing[Harbor]:
    """The hub's Harbor, as the profile's user."""
    credential = Login(harbor_of(hub).user, read_secret(harbor_of(hub).password, kubernetes))
    return closing(Harbor.connect(place_of(hub), hub.registry.ca, credential, may_write))


def as_robot(hub: Hub, kubernetes: Kubernetes, may_write: Callable[[], None] = lambda: None) -> closing[Harbor]:
    """The hub's Harbor, as the robot that builds. Raises Permanent while there is none."""
    kind, place = Kind.BUILD, place_of(hub)
    credential = kept_credential(kind, kubernetes.read(SECRET, kind.secret, hub.cluster.namespace), place.host)
    if credential is None:
        asked = f"read the login of Harbor's robot from Secret {kind.secret} in namespace {hub.cluster.namespace}"
        raise Permanent("Kubernetes", asked, f"it holds none of {place.host}", "deploy the hub, which puts it there")
    return closing(Harbor.connect(place, hub.registry.ca, credential, may_write))


def as_pusher(hub: Hub) -> closing[Registry]:
    """The hub's registry by the OCI distribution API, as the robot that builds."""
    return closing(Registry(place_of(hub).host, hub.registry.ca, read_build_robot(hub, Kubernetes.connect())))


def see(hub: Hub, harbor: Harbor, kubernetes: Kubernetes) -> SeenHarbor:
    """What is there of the hub; where the user may not set the project up, only that."""
    system = harbor.read_system()
    read_only = bool(system.get("read_only"))
    anybody = system.get("project_creation_restriction", "everyone") == "everyone"
    try:
        project = harbor.read_project()
    except Forbidden:
        return SeenHarbor(read_only, anybody, hidden=True)
    seen = SeenHarbor(read_only, anybody, project=project)
    if project is None or not seen.managed:
        return seen
    return _see_project(hub, harbor, kubernetes, seen, project)


def _see_project(
    hub: Hub, harbor: Harbor, kubernetes: Kubernetes, seen: SeenHarbor, project: SeenProject
) -> SeenHarbor:
    whole = SeenHarbor(
        seen.read_only,
        seen.anybody_creates,
        project=project,
        scanner=harbor.read_scanner(),
        robots=harbor.list_robots(project.id),
        retention=harbor.read_retention(project.retention_id) if project.retention_id else None,
        immutable_rules=harbor.list_immutable_rules(),
        policies=harbor.list_policies(),
    )
    kept = {kind: _see_login(hub, harbor, kubernetes, whole, kind) for kind in Kind}
    return replace(whole, kept=kept)


def _see_login(hub: Hub, harbor: Harbor, kubernetes: Kubernetes, seen: SeenHarbor, kind: Kind) -> KeptLogin:
    """What a robot's Secret keeps, and whether Harbor lets that in."""
    host, robot = place_of(hub).host, seen.robot(hub, kind)
    body = kubernetes.read(SECRET, kind.secret, hub.cluster.namespace)
    credential = kept_credential(kind, body, host)
    title = f"Secret {kind.secret}"
    if body is None:
        return KeptLogin(None, None, f"there is no {title}")
    if credential is None:
        return KeptLogin(body, None, f"{title} holds no login of {host}")
    if robot is None or credential.user != robot.name:
        return KeptLogin(body, credential, f"{title} is of another robot")
    fault = "" if harbor.read_login(credential) else f"Harbor does not let in what {title} holds"
    return KeptLogin(body, credential, fault)
