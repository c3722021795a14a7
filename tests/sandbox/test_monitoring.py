"""Monitoring on a real cluster: without the Prometheus Operator, with it, and every metric that the dashboard names."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import Any

import pytest
from kubernetes import client
from prometheus_client.parser import text_string_to_metric_families

from config.profiles import load_profile
from deployments.sandbox.addresses import NAME
from tasks.core.address import Address
from tasks.core.objects import CONFIG_MAP, SECRET, SERVICE, Body
from tasks.core.wait import wait_until
from tasks.monitoring.dashboard import USERS, dashboard_for, queries
from tasks.monitoring.phase import NO_OPERATOR
from tasks.monitoring.plan import DASHBOARD, MONITOR, SERVICE_MONITOR
from tests.sandbox.conftest import Profile, Sandbox

OURS = ("hubwright", "Helm")
"""User agents of what a deploy runs."""
WAIT_SECONDS = 30
MEASURE_SECONDS = 150
"""The kubelet measures volumes once a minute."""
REQUEST_SECONDS = 10
CLAIM_NAME = "measured"
DEFINITION: Any = {
    "metadata": {"name": f"{SERVICE_MONITOR.plural}.{SERVICE_MONITOR.group}"},
    "spec": {
        "group": SERVICE_MONITOR.group,
        "scope": "Namespaced",
        "names": {"kind": SERVICE_MONITOR.name, "plural": SERVICE_MONITOR.plural},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
SELECTOR = re.compile(r"([a-z_]+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
GROUPED = re.compile(r"by \((\w+)\)")
SOMETIMES = (USERS, "5..")
"""Values that only some samples have: of a server that runs just now, of an error. Their label is always there."""
SAMPLES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",)}
"""What the samples of a metric are called after its name, where not by the name alone."""

Exported = dict[str, list[dict[str, str]]]
"""The labels of each sample by its name; none of a metric that has not been used yet."""


@pytest.fixture(scope="module")
def operator(sandbox: Sandbox) -> Generator[None]:
    """The cluster knows ServiceMonitors, as it does with the Prometheus Operator."""
    definitions = client.ApiextensionsV1Api(sandbox.api())
    definitions.create_custom_resource_definition(DEFINITION)
    try:
        _wait_for(lambda: "" if sandbox.kubernetes.knows(SERVICE_MONITOR) else "it does not know the kind yet")
        yield
    finally:
        definitions.delete_custom_resource_definition(DEFINITION["metadata"]["name"])
        _wait_for(lambda: "it still knows the kind" if sandbox.kubernetes.knows(SERVICE_MONITOR) else "")


@pytest.fixture
def measured(sandbox: Sandbox, profile: Profile) -> Generator[str]:
    """A claim whose volume the kubelet measures, in use. Those of the sandbox's own class it does not (hostPath)."""
    core, namespace = client.CoreV1Api(sandbox.api()), profile.namespace
    folder = sandbox.paths.volumes / f"{namespace}-{CLAIM_NAME}"
    folder.mkdir()
    core.create_persistent_volume(_volume(str(folder), folder.name, namespace))
    try:
        core.create_namespaced_persistent_volume_claim(namespace, _claim(folder.name))
        core.create_namespaced_pod(namespace, _pod())
        yield CLAIM_NAME
        core.delete_namespaced_pod(CLAIM_NAME, namespace, grace_period_seconds=0)
        core.delete_namespaced_persistent_volume_claim(CLAIM_NAME, namespace)
    finally:
        core.delete_persistent_volume(folder.name)
        _wait_for(lambda: ", ".join(name for name in _volume_names(core) if name == folder.name))
        folder.rmdir()


def test_without_the_operator_a_deploy_says_so_and_makes_the_dashboard(sandbox: Sandbox, profile: Profile) -> None:
    assert not sandbox.kubernetes.knows(SERVICE_MONITOR)
    ended = sandbox.flows("deploy", str(profile), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    assert NO_OPERATOR in ended.stderr
    created = {change["what"] for change in ended.result["plan"] if change["action"] == "create"}
    assert f"ConfigMap {DASHBOARD}" in created
    assert f"ServiceMonitor {MONITOR}" not in created
    found = sandbox.kubernetes.read(CONFIG_MAP, DASHBOARD, profile.namespace)
    assert found
    assert found["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert json.loads(found["data"][f"{profile.namespace}.json"])["title"] == f"JupyterHub {profile.namespace}"


@pytest.mark.usefixtures("operator")
def test_with_the_operator_one_object_is_made_and_then_nothing(sandbox: Sandbox, profile: Profile) -> None:
    first = sandbox.flows("deploy", str(profile), "--json")
    assert first.code == 0, first.stderr[-3000:]
    created = {"action": "create", "what": f"ServiceMonitor {MONITOR}", "before": "", "after": ""}
    assert first.result["plan"] == [created]
    assert NO_OPERATOR not in first.stderr
    start = sandbox.audit.now()
    second = sandbox.flows("deploy", str(profile), "--json")
    assert second.code == 0, second.stderr[-3000:]
    assert second.result["plan"] == []
    assert sandbox.audit.requests(start, OURS) > 0  # so that the next line can fail
    assert sandbox.audit.writes(start, profile.namespace, OURS) == []


@pytest.mark.usefixtures("operator")
def test_the_hub_exports_what_the_dashboard_asks_for_to_who_has_the_token(sandbox: Sandbox, profile: Profile) -> None:
    spec = _monitor_spec(sandbox, profile)
    [endpoint] = spec["endpoints"]
    labels = ",".join(f"{label}={value}" for label, value in spec["selector"]["matchLabels"].items())
    [service] = sandbox.kubernetes.list(SERVICE, profile.namespace, labels)
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    hub = load_profile(str(profile))
    allowed = {"Authorization": f"{endpoint['authorization']['type']} {_token(sandbox, profile, endpoint)}"}
    with closing(Address.of(hub).open_client(REQUEST_SECONDS)) as web:
        answer = web.get(hub.url + endpoint["path"], headers=allowed)
        assert answer.status_code == 200
        assert web.get(hub.url + endpoint["path"]).status_code == 403
        assert web.get(f"{hub.url}/hub/api/users", headers=allowed).status_code == 403
    asked = [query for query in queries(dashboard_for(hub)) if "jupyterhub_" in query]
    assert asked
    # Prometheus adds the namespace that it found the Service in.
    assert _missing(asked, _exported(answer.text, {"namespace": profile.namespace})) == []


def test_the_kubelet_exports_what_the_dashboard_asks_for(sandbox: Sandbox, profile: Profile, measured: str) -> None:
    asked = [query for query in queries(dashboard_for(load_profile(str(profile)))) if "jupyterhub_" not in query]
    assert asked

    def missing() -> str:
        exported = _exported(_kubelet(sandbox, "metrics")) | _exported(_kubelet(sandbox, "metrics/cadvisor"))
        return "; ".join(_missing(asked, exported))

    wait_until("kubelet", f"measure claim {measured}", missing, seconds=MEASURE_SECONDS, remedy="", every=2)


def _missing(asked: Iterable[str], exported: Exported) -> list[str]:
    """Selectors that find nothing: the metric is not exported, or not with the labels that the query goes by."""
    missing: list[str] = []
    for query in asked:
        grouped = [(label, "by", "") for label in GROUPED.findall(query)]
        for metric, matchers in SELECTOR.findall(query):
            found = exported.get(metric)
            if found is None or not any(_fits(labels, [*MATCHER.findall(matchers), *grouped]) for labels in found):
                missing.append(f"{metric}{{{matchers}}}")
    return missing


def _fits(labels: dict[str, str], matchers: list[tuple[str, str, str]]) -> bool:
    """Whether a sample is one of those meant."""
    return all(
        label in labels
        and (how != "=" or labels[label] == value)
        and (how != "=~" or value in SOMETIMES or bool(re.fullmatch(value, labels[label])))
        for label, how, value in matchers
    )


def _exported(text: str, added: dict[str, str] | None = None) -> Exported:
    exported: Exported = {}
    for family in text_string_to_metric_families(text):
        for suffix in SAMPLES.get(family.type, ("",)):
            exported.setdefault(family.name + suffix, [])
        for sample in family.samples:
            exported.setdefault(sample.name, []).append(sample.labels | (added or {}))
    return exported


def _monitor_spec(sandbox: Sandbox, profile: Profile) -> Body:
    monitor = sandbox.kubernetes.read(SERVICE_MONITOR, MONITOR, profile.namespace)
    assert monitor
    return monitor["spec"]


def _token(sandbox: Sandbox, profile: Profile, endpoint: Body) -> str:
    place = endpoint["authorization"]["credentials"]
    secret = sandbox.kubernetes.read(SECRET, place["name"], profile.namespace)
    assert secret
    return base64.b64decode(secret["data"][place["key"]]).decode()


def _kubelet(sandbox: Sandbox, path: str) -> str:
    api = sandbox.api()
    headers = {"Accept": "text/plain"}
    request = api.param_serialize("GET", f"/api/v1/nodes/{NAME}/proxy/{path}", header_params=headers)
    answer = api.call_api(*request, _request_timeout=REQUEST_SECONDS)
    text = answer.read().decode()
    assert answer.status == 200, text
    return text


def _wait_for(missing: Callable[[], str]) -> None:
    wait_until("Kubernetes", "do what the test needs", missing, seconds=WAIT_SECONDS, remedy="look at its events")


def _volume(path: str, name: str, namespace: str) -> Any:
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NAME]}
    spec = {
        "capacity": {"storage": "1Mi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "local": {"path": path},
        "claimRef": {"namespace": namespace, "name": CLAIM_NAME},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
    }
    return {"metadata": {"name": name}, "spec": spec}


def _claim(volume: str) -> Any:
    resources = {"requests": {"storage": "1Mi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeName": volume, "resources": resources}
    return {"metadata": {"name": CLAIM_NAME}, "spec": spec}


def _pod() -> Any:
    container = {
        "name": "sleeper",
        "image": "10.51.0.2:5000/library/busybox:1",
        "command": ["sleep", "3600"],
        "volumeMounts": [{"name": "volume", "mountPath": "/volume"}],
    }
    volume = {"name": "volume", "persistentVolumeClaim": {"claimName": CLAIM_NAME}}
    return {"metadata": {"name": CLAIM_NAME}, "spec": {"containers": [container], "volumes": [volume]}}


def _volume_names(core: client.CoreV1Api) -> list[str]:
    return [str(volume.metadata and volume.metadata.name) for volume in core.list_persistent_volume().items]
