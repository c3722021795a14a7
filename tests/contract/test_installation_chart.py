"""What an installation's chart makes, as Helm renders it: held against Prefect's worker and settings, and our files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, Settings, temporary_settings
from prefect_kubernetes import worker as prefect_worker
from prefect_kubernetes.settings import KubernetesSettings
from prefect_kubernetes.worker import KubernetesWorker, KubernetesWorkerJobConfiguration
from ruamel.yaml import YAML

from deployments.register.installation import Installation, hubs_of, load_installation
from deployments.sandbox.binaries import ensure_binary
from tasks.core.process import run

CHART = Path(__file__).parents[2] / "deployments" / "kubernetes"
IMAGE = f"registry.example.com/platform/flows@sha256:{'0' * 64}"
SECRET = "admin:the-password"
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"
PODMAN_MAY = {
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID",
    "SYS_ADMIN", "SYS_CHROOT",
}  # fmt: skip
POOLS = ("hubs", "images")
VALUES: dict[str, Any] = {
    "image": IMAGE,
    "hubs": [{"profile": "thinkube", "namespace": "a"}, {"profile": "iav-v1", "namespace": "b"}],
    "url": "https://prefect.example.com",
    "env": {"COMPANY": "1"},
    "secretEnv": ["company-secrets"],
    "mounts": [
        {"name": "ca", "path": "/etc/company", "configMap": "company-ca"},
        {"name": "keys", "path": "/etc/keys", "secret": "company-keys"},
    ],
    "prefect": {"ingress": {"host": "prefect.example.com", "className": "nginx", "tlsSecret": "tls"}},
    "pools": {"images": {"cache": {"claim": "packages"}}},
    "browser": {"image": "registry.example.com/chromium:1"},
    "receiver": {"host": "hubwright.example.com", "tlsSecret": "tls"},
    "monitoring": True,
}

Body = dict[str, Any]


@cache
def _render(values: str) -> tuple[Body, ...]:
    helm = ensure_binary("helm", print)
    argv = [helm, "template", "hubwright", CHART, "--namespace", "hubwright", "--kube-version", "1.34.4"]
    text = run([*argv, "--values", "-"], timeout=60, remedy="correct the chart", stdin=values).stdout
    return tuple(body for body in YAML(typ="safe").load_all(text) if body)


def rendered(**changes: Any) -> tuple[Body, ...]:
    return _render(json.dumps({**VALUES, **changes}))


def one(kind: str, name: str, **changes: Any) -> Body:
    [found] = [body for body in rendered(**changes) if (body["kind"], body["metadata"]["name"]) == (kind, name)]
    return found


def pods(**changes: Any) -> Iterator[tuple[str, Body]]:
    """Every pod that there can be, by the name of what makes it."""
    for body in rendered(**changes):
        if "template" in body.get("spec", {}):
            yield body["metadata"]["name"], body["spec"]["template"]["spec"]
    for pool in POOLS:
        yield f"run in {pool}", run_pod(pool, **changes)


def containers(pod: Body) -> list[Body]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def installation(folder: Path, **changes: Any) -> Installation:
    file = folder / "installation.yaml"
    file.write_text(one("ConfigMap", "hubwright-installation", **changes)["data"]["installation.yaml"])
    return load_installation(file)


@cache
def _templates() -> dict[str, Body]:
    text = one("ConfigMap", "hubwright-installation")["data"]["installation.yaml"]
    return YAML(typ="safe").load(text)["pools"]


def run_job(pool: str, template: Body | None = None) -> KubernetesWorkerJobConfiguration:
    """A run's Job, as the worker prepares it."""
    template = template or _templates()[pool]
    values = {"image": IMAGE, "env": {"OWN": "1"}}
    make = KubernetesWorkerJobConfiguration.from_template_and_values
    # It names no block of Prefect's, so nothing is asked; but without a client, a server would be started.
    job = asyncio.run(make(template, values, client=AsyncMock()))
    job.prepare_for_flow_run(FlowRun(id=uuid4(), flow_id=uuid4(), name="brave-owl"))
    return job


def run_pod(pool: str, **changes: Any) -> Body:
    text = one("ConfigMap", "hubwright-installation", **changes)["data"]["installation.yaml"]
    job = run_job(pool, YAML(typ="safe").load(text)["pools"][pool])
    return job.job_manifest["spec"]["template"]["spec"]


def env(container: Body) -> dict[str, str]:
    """Variables as the pod has them; what comes from a Secret is a stand-in for it."""
    return {row["name"]: row.get("value", SECRET) for row in container["env"]}


def settings_of(container: Body, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in env(container).items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_the_installation_is_one_that_register_and_receiver_take(tmp_path: Path) -> None:
    found = installation(tmp_path)
    assert (found.image, found.limits, found.url) == (IMAGE, {"hubs": 4, "images": 1}, "https://prefect.example.com")
    assert [hub.name for _, hub in hubs_of(found)] == ["thinkube", "iav-v1"]


def test_nothing_has_more_rights_than_it_needs() -> None:
    for name, pod in pods():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["enableServiceLinks"] is False, name
        assert pod.get("automountServiceAccountToken", True) is name.startswith("worker-"), name
        for container in containers(pod):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"], name
            assert context["capabilities"]["drop"] == ["ALL"], name
            assert {*container["resources"]} == {"requests", "limits"}, name
            if container["name"] != "podman":
                assert context["allowPrivilegeEscalation"] is False, name
                assert "add" not in context["capabilities"], name


def test_podman_is_root_of_its_own_container_without_privileges() -> None:
    [podman] = [found for found in run_pod("images")["initContainers"] if found["name"] == "podman"]
    context = podman["securityContext"]
    assert "privileged" not in context
    assert {*context["capabilities"]["add"]} == PODMAN_MAY
    assert [found["name"] for found in run_pod("hubs")["initContainers"]] == ["browser"]


@pytest.mark.parametrize("pool", POOLS)
def test_only_the_flow_itself_has_its_accounts_token_and_secrets(pool: str) -> None:
    pod = run_pod(pool)
    assert pod["serviceAccountName"] == "flows"
    for container in containers(pod):
        flow = container["name"] == "prefect-job"
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert (TOKEN in mounts, "/etc/keys" in mounts, "envFrom" in container) == (flow, flow, flow)
        assert "/etc/company" in mounts
        assert flow == (container.get("restartPolicy") != "Always"), "who stands beside a flow must not outlive it"


@pytest.mark.parametrize("pool", POOLS)
def test_a_pod_has_every_volume_that_it_mounts(pool: str) -> None:
    pod = run_pod(pool)
    mounted = {mount["name"] for container in containers(pod) for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("pool", POOLS)
def test_a_run_whose_pod_is_evicted_is_run_again(pool: str) -> None:
    job = run_job(pool)
    spec = job.job_manifest["spec"]
    [flow] = spec["template"]["spec"]["containers"]
    assert spec["backoffLimit"] == 0
    assert env(flow)["PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"] == "reschedule"
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] >= 120
    assert flow["args"] == ["prefect", "flow-run", "execute"]


@pytest.mark.parametrize("pool", POOLS)
def test_the_worker_writes_no_secret_into_a_job(pool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    [worker] = one("Deployment", f"worker-{pool}")["spec"]["template"]["spec"]["containers"]
    for name, value in env(worker).items():
        if name.startswith("PREFECT_INTEGRATIONS_"):
            monkeypatch.setenv(name, value)
    made = AsyncMock()
    monkeypatch.setattr(prefect_worker, "BatchV1Api", Mock(return_value=made))
    with temporary_settings({PREFECT_API_AUTH_STRING: SECRET, PREFECT_API_URL: env(worker)["PREFECT_API_URL"]}):
        job = run_job(pool)
        worker_of_it = KubernetesWorker(work_pool_name=pool)
        asyncio.run(worker_of_it._create_job(job, AsyncMock()))  # pyright: ignore[reportPrivateUsage]
    _, manifest = made.create_namespaced_job.await_args.args
    assert SECRET not in json.dumps(manifest)
    [flow] = manifest["spec"]["template"]["spec"]["containers"]
    [found] = [row for row in flow["env"] if row["name"] == "PREFECT_API_AUTH_STRING"]
    assert found["valueFrom"] == {"secretKeyRef": {"name": "hubwright-prefect", "key": "auth-string"}}
    assert {"OWN", "COMPANY", "PREFECT_LOCAL_STORAGE_PATH"} <= env(flow).keys()


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_looks_after_the_jobs_of_its_own_pool(pool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    [worker] = one("Deployment", f"worker-{pool}")["spec"]["template"]["spec"]["containers"]
    settings_of(worker, monkeypatch)
    observer = KubernetesSettings().observer
    assert observer.namespaces == {"hubwright"}
    job = run_job(pool).job_manifest
    assert isinstance(observer.additional_label_filters, dict)
    for labels in (job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]):
        assert observer.additional_label_filters.items() <= labels.items()
        assert "prefect.io/flow-run-id" in labels


def test_prefect_takes_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    [container] = one("Deployment", "prefect")["spec"]["template"]["spec"]["containers"]
    settings = settings_of(container, monkeypatch)
    database = settings.server.database
    assert (database.driver, database.host) == ("postgresql+asyncpg", "postgresql.hubwright.svc")
    assert (database.user, database.name) == ("prefect", "prefect")
    assert database.password
    assert settings.server.api.auth_string
    assert settings.server.ui.api_url == "/api"
    assert settings.server.analytics_enabled is False
    assert settings.ui_url == "https://prefect.example.com"


def test_what_profiles_name_can_be_read_by_flows_and_receiver() -> None:
    """Variables and files as they are; nothing of the cluster, which the receiver may not ask."""
    [receiver] = one("Deployment", "receiver")["spec"]["template"]["spec"]["containers"]
    [flow] = run_pod("hubs")["containers"]
    for container in (receiver, flow):
        assert env(container)["COMPANY"] == "1"
        assert container["envFrom"] == [{"secretRef": {"name": "company-secrets"}}]
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert {"/etc/company", "/etc/keys", "/opt/hubwright/config/profiles/installed"} <= mounts
    bound = {row["subjects"][0]["name"] for row in rendered() if row["kind"].endswith("RoleBinding")}
    assert bound == {"flows", "worker"}


def _register(**changes: Any) -> str:
    [name] = [body["metadata"]["name"] for body in rendered(**changes) if body["kind"] == "Job"]
    return name


@pytest.mark.parametrize(
    "changes",
    [
        {"image": IMAGE.replace("0", "1")},
        {"hubs": VALUES["hubs"][:1]},
        {"profiles": {"thinkube": "extends: thinkube"}},
        {"notify": "slack-webhook/operations"},
        {"pools": {"hubs": {"limit": 9}}},
        {"auth": {"secret": "other", "key": "auth-string"}},
        {"register": {"resources": {"limits": {"memory": "1Gi"}}}},
    ],
)
def test_another_installation_is_another_job(changes: dict[str, Any]) -> None:
    """A Job cannot be changed, so it has another name with whatever it is made from."""
    assert _register() != _register(**changes)
    assert _register() == _register(receiver={"replicas": 3, "host": "", "tlsSecret": ""})


def test_the_receiver_starts_anew_when_its_hubs_change() -> None:
    def mark(**changes: Any) -> str:
        metadata = one("Deployment", "receiver", **changes)["spec"]["template"]["metadata"]
        return metadata["annotations"]["hubwright.io/installation"]

    assert mark() != mark(profiles={"thinkube": "extends: thinkube"})
    assert mark() != mark(hubs=VALUES["hubs"][:1])


def test_flows_have_their_rights_in_the_hubs_namespaces_only() -> None:
    rules = YAML(typ="safe").load(CHART / "files" / "hub-rules.yaml")
    roles = [body for body in rendered() if (body["kind"], body["metadata"]["name"]) == ("Role", "hubwright-flows")]
    assert {role["metadata"]["namespace"]: role["rules"] for role in roles} == {"a": rules, "b": rules}


def test_one_install_without_what_may_be_left_out() -> None:
    least = {"image": IMAGE, "hubs": VALUES["hubs"][:1]}
    kinds = {body["kind"] for body in _render(json.dumps(least))}
    assert not kinds & {"Ingress", "ServiceMonitor"}
    text = next(body for body in _render(json.dumps(least)) if "installation.yaml" in (body.get("data") or {}))
    pools = YAML(typ="safe").load(text["data"]["installation.yaml"])["pools"]
    assert not run_job("hubs", pools["hubs"]).job_manifest["spec"]["template"]["spec"].get("initContainers")
