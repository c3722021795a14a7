"""What is missing is told before the first write, all of it at once, each with what to do."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tasks.core.objects import NAMESPACE, SECRET
from tests.sandbox.conftest import TLS_SECRET, Profile, Sandbox
from tests.sandbox.test_deploy import OURS


def _refused(sandbox: Sandbox, profile: Profile, env: dict[str, str] | None = None) -> str:
    """What a deploy says that is refused before it writes anything."""
    start = sandbox.audit.now()
    ended = sandbox.flows("deploy", str(profile), env=env)
    assert ended.code == 1
    assert sandbox.audit.writes(start, profile.namespace, OURS) == []
    return ended.stderr


def test_everything_that_is_missing_is_told_at_once(sandbox: Sandbox, profile: Profile, tmp_path: Path) -> None:
    """One profile with a mistake in each place, and a cluster with a quota and a limit in the way."""
    core = client.CoreV1Api(sandbox.api())
    limit = {"type": "Container", "max": {"memory": "512Mi"}}
    core.create_namespaced_limit_range(profile.namespace, _named("bounds", {"limits": [limit]}))
    core.create_namespaced_resource_quota(profile.namespace, _named("team", {"hard": {"limits.memory": "1536Mi"}}))
    wrong = tmp_path / "wrong.yaml"
    text = {
        "extends": str(profile),
        "image": {"reference": "10.51.0.2:5000/iav/base-notebook:no-such-tag"},
        "storage": {"shared": {"storage_class": "no-such-class"}},
        "ingress": {"ingress_class": "no-such-class", "tls_secret": "no-such-secret"},
        "server": {"memory": {"guarantee": "2Ti", "limit": "2Ti"}},
        "release": {"chart": {"version": "4.9.9"}},
    }
    wrong.write_text(json.dumps(text))
    try:
        said = _refused(sandbox, Profile(wrong, profile.namespace, profile.password, text))
    finally:
        core.delete_namespaced_limit_range("bounds", profile.namespace)
        core.delete_namespaced_resource_quota("team", profile.namespace)
    for part in (
        "there is no such image or tag",
        "StorageClass no-such-class: there is none of that name",
        "IngressClass no-such-class: there is none of that name",
        "Secret no-such-secret: there is none of that name",
        "kubectl create secret tls no-such-secret",
        "allocatable memory: no node has 2Ti to give",
        "LimitRange bounds: a Container may have 512Mi of memory at most",
        "ResourceQuota team: limits.memory is 1536Mi",
        "4.9.9",
    ):
        assert part in said


def _named(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": spec}


def test_an_unreachable_cluster_and_a_missing_helm_are_told_together(
    sandbox: Sandbox, profile: Profile, tmp_path: Path
) -> None:
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(sandbox.paths.kubeconfig.read_text().replace("10.51.0.2:6443", "10.51.0.2:6444"))
    no_helm = os.pathsep.join(
        folder for folder in sandbox.environment["PATH"].split(os.pathsep) if not Path(folder, "helm").exists()
    )
    ended = sandbox.flows("deploy", str(profile), env={"KUBECONFIG": str(nowhere), "PATH": no_helm})
    assert ended.code == 1
    assert "2 things are missing or wrong" in ended.stderr
    assert "https://10.51.0.2:6444 cannot be reached" in ended.stderr
    assert "cannot be started (No such file or directory)" in ended.stderr


def test_a_certificate_for_another_host_is_refused(sandbox: Sandbox, profile: Profile) -> None:
    profile.change(ingress={"host": "hub.other.test"})
    said = _refused(sandbox, profile)
    profile.change(ingress={"host": f"{profile.namespace}.example.internal"})
    assert "its certificate is for *.example.internal, not for hub.other.test" in said


def test_a_key_that_is_not_the_certificates_is_refused(sandbox: Sandbox, profile: Profile) -> None:
    core = client.CoreV1Api(sandbox.api())
    kept = sandbox.kubernetes.read(SECRET, TLS_SECRET, profile.namespace)
    assert kept
    other = base64.b64encode(sandbox.paths.key("registry").read_bytes()).decode()
    core.patch_namespaced_secret(TLS_SECRET, profile.namespace, {"data": {"tls.key": other}})
    said = _refused(sandbox, profile)
    core.patch_namespaced_secret(TLS_SECRET, profile.namespace, {"data": dict(kept["data"])})
    assert f"Secret {TLS_SECRET}: its key is not that of its certificate" in said


@pytest.fixture
def little_rights(sandbox: Sandbox, profile: Profile, tmp_path: Path) -> Generator[Path, None, None]:
    """The kubeconfig of an account that may read the namespace's Secrets, and nothing else."""
    api = sandbox.api()
    core, rbac = client.CoreV1Api(api), client.RbacAuthorizationV1Api(api)
    name, namespace = "little", profile.namespace
    core.create_namespaced_service_account(namespace, {"metadata": {"name": name}})
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]
    rbac.create_namespaced_role(namespace, {"metadata": {"name": name}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    rbac.create_namespaced_role_binding(namespace, {"metadata": {"name": name}, "roleRef": ref, "subjects": [subject]})
    request = {"spec": {"audiences": ["https://kubernetes.default.svc"]}}
    token = core.create_namespaced_service_account_token(name, namespace, request).status.token
    given = json.loads(sandbox.paths.kubeconfig.read_text())
    given["users"][0]["user"] = {"token": token}
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(given))
    yield file
    core.delete_namespaced_service_account(name, namespace)


def test_permissions_that_are_missing_are_listed_by_kind(
    sandbox: Sandbox, profile: Profile, little_rights: Path
) -> None:
    said = _refused(sandbox, profile, env={"KUBECONFIG": str(little_rights)})
    where = f"in namespace {profile.namespace}"
    assert f"permission to create, delete, patch, update, watch secrets {where}" in said
    assert f"permission to create, get, patch roles.rbac.authorization.k8s.io {where}" in said
    assert f"permission to create, get, update leases.coordination.k8s.io {where}" in said
    assert f"permission to create, delete, get, list, patch, update, watch deployments.apps {where}" in said


def test_nothing_was_made_by_all_this(sandbox: Sandbox, profile: Profile) -> None:
    assert sandbox.kubernetes.read(NAMESPACE, profile.namespace, None)
    assert sandbox.history(profile) == []
