"""The rights that the chart gives to flows are exactly those that preflight asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from config.profiles import load_profile
from tasks.cluster.plan import HUB_RULES
from tasks.cluster.plan import permissions as cluster
from tasks.cluster.removal import REMOVED
from tasks.core.objects import CONFIG_MAP
from tasks.database.plan import permissions as database
from tasks.monitoring.plan import SERVICE_MONITOR, Operator
from tasks.monitoring.plan import permissions as monitoring
from tasks.release.plan import permissions as release

CHART = Path(__file__).parents[3] / "deployments" / "kubernetes"
Right = tuple[str, str, str]


def _read(name: str) -> Any:
    return YAML(typ="safe").load(CHART / name)


def _granted(name: str) -> set[Right]:
    return _rights(_read(name))


def _rights(rules: Iterable[Mapping[str, Any]]) -> set[Right]:
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_in_a_hubs_namespace_flows_may_do_what_preflight_asks_for() -> None:
    """Of deploy, rebuild and rollback, with the Prometheus Operator there; and a teardown's."""
    asked: set[Right] = set()
    for name in ("thinkube", "iav-v1"):
        hub = load_profile(name)
        wanted = (*cluster(hub), *release(hub), *monitoring(hub, Operator.PRESENT), *database(hub))
        asked |= {(one.kind.group, one.kind.plural, one.verb) for one in wanted}
    asked |= {(kind.group, kind.plural, "delete") for kind in (*REMOVED, SERVICE_MONITOR, CONFIG_MAP)}
    assert _granted("files/hub-rules.yaml") == asked


def test_flows_have_every_right_that_they_hand_out_to_a_hub() -> None:
    """Else Kubernetes would refuse to have the hub's Role made."""
    assert _rights(HUB_RULES) <= _granted("files/hub-rules.yaml")


def test_in_the_whole_cluster_they_only_look() -> None:
    assert {verb for _, _, verb in _granted("files/cluster-rules.yaml")} == {"get", "list"}
    assert {resource for _, resource, _ in _granted("files/cluster-rules.yaml")} == {
        "nodes", "storageclasses", "ingressclasses",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"image": "registry.example.com/flows:latest"}, "does not match"),
        ({"hubs": []}, r"\[\]"),
        ({"hubz": []}, "hubz"),
        ({"mounts": [{"name": "a", "path": "/a", "secret": "a", "configMap": "a"}]}, "valid under each|not valid"),
        ({"pools": {"images": {"cache": {}}}}, "non-empty|not enough"),
        ({"notify": "operations"}, "does not match"),
    ],
)
def test_bad_values_are_refused(values: dict[str, Any], complaint: str) -> None:
    good = {"image": f"registry.example.com/flows@sha256:{'0' * 64}", "hubs": [{"profile": "a", "namespace": "a"}]}
    schema = _read("values.schema.json")
    jsonschema.validate({**_read("values.yaml"), **good}, schema)
    with pytest.raises(jsonschema.ValidationError, match=complaint):
        jsonschema.validate(good | values, schema)
