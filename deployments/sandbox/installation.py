"""Hubwright as a company runs it, in the sandbox's cluster: Prefect, workers and receiver, by the chart."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from config.images import PinnedImage
from config.profiles import load_profile
from deployments.sandbox.addresses import NAME, PREFECT, PREFECT_PORT, RECEIVER_HOST, REGISTRY
from deployments.sandbox.cache import cache_root, digest_of
from deployments.sandbox.contents import HUBS, helm_environment, tls_secret
from deployments.sandbox.environment import prefect_login
from deployments.sandbox.paths import CLONE, Paths, write_if_changed
from deployments.sandbox.probes import Probe, connect, http_probe
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import CONFIG_MAP, DEPLOYMENT, NAMESPACE, SECRET, Body, WantedObject
from tasks.core.process import run
from tasks.core.wait import wait_until

CHART = CLONE / "deployments" / "kubernetes"
RELEASE = NAME
HELM_SECONDS = 600.0
QUERY_SECONDS = 60.0
SERVE_SECONDS = 240.0
APPLIED = "hubwright-applied"
"""The ConfigMap that says of which chart and values the release is, so that an unchanged one costs no Helm call."""
PROFILES_FOLDER = "/opt/hubwright/.sandbox"
"""Where pods have the files that the sandbox's profiles name: the same place as in the working copy."""
CA = f"{PROFILES_FOLDER}/pki/ca.crt"
TLS_SECRET = "hubwright-tls"
BROWSER = "http://localhost:9222"


def ensure_installation(paths: Paths, helm: Path, image: PinnedImage, say: Callable[[str], None]) -> None:
    """The release runs this chart and this flow image, and everything in it is ready. Writes nothing when it did."""
    cluster = connect(paths.kubeconfig)
    for wanted in installation_objects(paths):
        cluster.ensure(wanted)
    values = json.dumps(installation_values(image), indent=2)  # JSON is YAML
    file = paths.config / "installation.yaml"
    write_if_changed(file, values)
    mark = digest_of(CHART, values)
    if _applied(cluster) != mark:
        _upgrade(paths, helm, file, say)
        cluster.ensure(WantedObject(CONFIG_MAP, APPLIED, RELEASE, {"data": {"of": mark}}))
    remedy = f"kubectl --namespace {RELEASE} describe pods, then `make up` again"
    wait_until("Prefect", "serve", lambda: installation_trouble(cluster), seconds=SERVE_SECONDS, remedy=remedy, say=say)


def installation_trouble(cluster: Kubernetes) -> str:
    """Why what is installed does not serve yet; nothing when it does."""
    deployments = cluster.list(DEPLOYMENT, RELEASE)
    if not deployments:
        return "it is not installed"
    for deployment in deployments:
        status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
        if status.get("readyReplicas", 0) < wanted or status.get("updatedReplicas", 0) < wanted:
            return f"{deployment['metadata']['name']} has {status.get('readyReplicas', 0)} of {wanted} pods ready"
    return prefect_probe()()


def prefect_probe() -> Probe:
    """Prefect's API answers."""
    return http_probe(f"{PREFECT}/api/health")


def installation_objects(paths: Paths) -> tuple[WantedObject, ...]:
    """What operations bring before the chart: the namespace, and every secret in its place."""
    used = (
        paths.shared_password, paths.keycloak_deployer, paths.keycloak_users, paths.harbor_deployer,
        paths.harbor_webhook,
    )  # fmt: skip
    files = {file.name: file.read_text() for file in used}
    return (
        WantedObject(NAMESPACE, RELEASE, None),
        _secret("hubwright-prefect", {"auth-string": prefect_login(paths)}),
        _secret("hubwright-postgresql", {"password": paths.database_password.read_text().strip()}),
        _secret("sandbox-secrets", files),
        WantedObject(CONFIG_MAP, "sandbox-ca", RELEASE, {"data": {paths.ca.name: paths.ca.read_text()}}),
        tls_secret(paths, TLS_SECRET, RELEASE),
    )


def installation_values(image: PinnedImage) -> Mapping[str, Any]:
    """The values of the chart. Pure but for the profiles, which it reads."""
    hubs = [{"profile": name, "namespace": load_profile(name).cluster.namespace} for name in HUBS]
    return {
        "image": str(image),
        "hubs": hubs,
        # In a pod there is a browser beside the flow.
        "profiles": {name: f"extends: {name}\nchecks: {{browser: '{BROWSER}'}}\n" for name in HUBS},
        "url": PREFECT,
        "postgresql": {"image": f"{REGISTRY}/hubwright/postgresql:15", "size": "1Gi"},
        "prefect": {"nodePort": PREFECT_PORT},
        "results": {"size": "1Gi"},
        "mounts": [
            {"name": "sandbox-ca", "path": f"{PROFILES_FOLDER}/pki", "configMap": "sandbox-ca"},
            {"name": "sandbox-secrets", "path": f"{PROFILES_FOLDER}/secrets", "secret": "sandbox-secrets"},
        ],
        "pools": {
            "images": {
                "podman": {"image": f"{REGISTRY}/hubwright/podman:4", "env": {"SSL_CERT_FILE": CA}},
                "cache": {"hostPath": str(cache_root())},
            }
        },
        "browser": {"image": f"{REGISTRY}/hubwright/browser:1", "env": {"BROWSER_CA": CA}},
        "receiver": {"host": RECEIVER_HOST, "ingressClass": "nginx", "tlsSecret": TLS_SECRET},
    }


def _secret(name: str, texts: Mapping[str, str]) -> WantedObject:
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return WantedObject(SECRET, name, RELEASE, {"type": "Opaque", "data": data})


def _applied(cluster: Kubernetes) -> str:
    found: Body = cluster.read(CONFIG_MAP, APPLIED, RELEASE) or {}
    return str(found.get("data", {}).get("of", ""))


def _upgrade(paths: Paths, helm: Path, values: Path, say: Callable[[str], None]) -> None:
    environment = {**helm_environment(paths), "KUBECONFIG": str(paths.kubeconfig)}
    remedy = f"kubectl --namespace {RELEASE} get pods,jobs,events, mend the cause, then `make up` again"
    _forget_pending(helm, environment, say)
    argv = [
        helm, "upgrade", "--install", RELEASE, CHART, "--namespace", RELEASE, "--values", values,
        "--wait", "--wait-for-jobs", "--timeout", f"{HELM_SECONDS:.0f}s", "--history-max", "3",
    ]  # fmt: skip
    say(f"helm upgrade --install {RELEASE}")
    run(argv, timeout=HELM_SECONDS + QUERY_SECONDS, env=environment, remedy=remedy)


def _forget_pending(helm: Path, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """A release that a killed Helm left pending is gone, with its history: Prefect's database is on a volume."""
    words = [helm, "list", "--pending", "--short", "--namespace", RELEASE]
    if run(words, timeout=QUERY_SECONDS, env=environment, remedy="look at the API server").stdout.strip():
        say("helm uninstall: an earlier start was killed half-way")
        words = [helm, "uninstall", RELEASE, "--namespace", RELEASE, "--wait", "--timeout", f"{SERVE_SECONDS:.0f}s"]
        run(words, timeout=HELM_SECONDS, env=environment, remedy="look at the API server")
