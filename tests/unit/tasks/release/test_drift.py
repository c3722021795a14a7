"""What somebody changed by hand in the objects of a release."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from config.profiles import load_profile
from config.server import Gpu
from config.spec import Hub
from tasks.release.drift import kind_of, plan_drift
from tasks.release.preflight import chart_problems, offered_gpu
from tasks.release.state import ChartArchive

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "hub"},
    "spec": {
        "replicas": 1,
        "template": {"spec": {"nodeSelector": None, "containers": [{"name": "hub", "image": "a"}]}},
    },
}  # fmt: skip
SECRET: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub"}, "data": {"key": "b25l"}}


def _as_seen(rendered: dict[str, Any]) -> dict[str, Any]:
    """As the API server keeps it: without what is null, and with defaults of its own."""
    seen = copy.deepcopy(rendered)
    if rendered is DEPLOYMENT:
        del seen["spec"]["template"]["spec"]["nodeSelector"]
        seen["spec"]["template"]["spec"]["containers"][0]["terminationMessagePath"] = "/dev/termination-log"
    return seen | {"status": {"replicas": 1}}


@pytest.mark.parametrize("rendered", [DEPLOYMENT, SECRET])
def test_what_nobody_touched_has_not_drifted(rendered: dict[str, Any]) -> None:
    assert plan_drift([(rendered, _as_seen(rendered))]).empty


def test_exactly_the_edit_is_shown() -> None:
    seen = _as_seen(DEPLOYMENT)
    seen["spec"]["template"]["spec"]["containers"][0]["image"] = "b"
    [change] = plan_drift([(DEPLOYMENT, seen)])
    assert str(change) == "update Deployment hub spec.template.spec.containers[hub].image: b -> a"


def test_an_object_that_is_gone_is_made_again() -> None:
    assert [str(change) for change in plan_drift([(DEPLOYMENT, None)])] == ["create Deployment hub"]


def test_a_secrets_edit_is_said_and_not_shown() -> None:
    [change] = plan_drift([(SECRET, _as_seen(SECRET) | {"data": {"key": "dHdv"}})])
    assert str(change) == "update Secret hub data.key: (hidden) -> (hidden)"


def test_only_kinds_of_the_hubs_namespace_are_looked_at() -> None:
    assert kind_of(DEPLOYMENT)
    assert kind_of({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}) is None


@pytest.mark.parametrize(
    ("wanted", "cluster", "count"),
    [
        (">=1.28.0-0", "v1.34.4", 0),
        (">=1.28.0-0", "v1.27.9", 1),
        (">=1.28.0-0", "v1.28.0-eks-1234", 0),
        (">= 1.28.0-0, < 1.34.0-0", "v1.34.4+k3s1", 1),
        ("", "v1.20.0", 0),
        ("1.x || ^2", "v1.20.0", 0),
    ],
)
def test_a_cluster_too_old_for_the_chart_is_found(wanted: str, cluster: str, count: int, tmp_path: Any) -> None:
    chart = ChartArchive(tmp_path, "jupyterhub-4.4.0", "sha256:0", wanted)
    assert len(chart_problems(chart, cluster)) == count


NODES: list[tuple[list[dict[str, str]], int, int]] = [
    # What nodes have, and how many GPUs are offered to everybody, and by roles.
    ([], 0, 0),
    ([{"cpu": "4"}], 0, 0),
    ([{"nvidia.com/gpu": "1"}], 0, 1),
    ([{}, {"nvidia.com/gpu": "2"}], 2, 2),
    ([{"nvidia.com/gpu": "8"}], 2, 2),
]


@pytest.mark.parametrize(("allocatable", "everybody", "by_roles"), NODES)
def test_no_more_gpus_are_offered_than_a_node_has(
    allocatable: list[dict[str, str]], everybody: int, by_roles: int
) -> None:
    nodes = [{"status": {"allocatable": amounts}} for amounts in allocatable]
    password = _hub("iav-v1", server={"gpu": {"count": 2}})
    roles = _hub("thinkube", identity={"roles": {"user": {"gpus": 0}, "gpu": {"gpus": 2}}})
    assert offered_gpu(password, nodes) == (Gpu(count=2) if everybody else None)
    assert offered_gpu(roles, nodes) == (Gpu(count=by_roles) if by_roles else None)


def test_a_hub_that_offers_none_does_not_look_for_any() -> None:
    nodes = [{"status": {"allocatable": {"nvidia.com/gpu": "2"}}}]
    assert offered_gpu(_hub("iav-v1", server={"gpu": None}), nodes) is None
    assert offered_gpu(_hub("thinkube", identity={"roles": {"user": {"gpus": 0}}}), nodes) is None


def _hub(profile: str, **changed: dict[str, Any]) -> Hub:
    whole = load_profile(profile).model_dump()
    return Hub.model_validate(whole | {part: whole[part] | fields for part, fields in changed.items()})
