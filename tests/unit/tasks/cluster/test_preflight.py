"""What preflight finds in a cluster: one case for each thing that can be wrong, and none when nothing is."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.profiles import load_profile
from config.spec import Hub
from tasks.cluster.preflight import cluster_problems
from tasks.cluster.state import SeenCluster

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOST = "jupyterhub-test.example.internal"
KEY, OTHER_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))


def _tls(*names: str, days: float = 365, key: ec.EllipticCurvePrivateKey = KEY) -> dict[str, Any]:
    """A TLS Secret for these hosts, valid for so many days from now."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
        .serial_number(1).not_valid_before(NOW - timedelta(days=400)).not_valid_after(NOW + timedelta(days=days))
    )  # fmt: skip
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(alternatives, critical=False)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files = {
        "tls.crt": builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
        "tls.key": key.private_bytes(*form),
    }
    return {"data": {name: base64.b64encode(content).decode() for name, content in files.items()}}


def _class(name: str, provisioner: str = "nfs.csi.k8s.io", *, default: bool = True) -> dict[str, Any]:
    marks = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {"metadata": {"name": name, "annotations": marks}, "provisioner": provisioner}


def _node(memory: str = "8Gi", cpu: str = "4", ready: str = "True", **spec: Any) -> dict[str, Any]:
    status = {"allocatable": {"memory": memory, "cpu": cpu}, "conditions": [{"type": "Ready", "status": ready}]}
    return {"metadata": {"name": "one"}, "spec": spec, "status": status}


def _named(name: str, **parts: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, **parts}


def _quota(resource: str, hard: str, used: str) -> dict[str, Any]:
    return _named("team", status={"hard": {resource: hard}, "used": {resource: used}})


def _limit(**limit: Any) -> dict[str, Any]:
    return _named("bounds", spec={"limits": [{"type": "Container", **limit}]})


def _problems(**seen: Any) -> list[str]:
    """What is found in a cluster that has everything but what is changed."""
    good: dict[str, Any] = {
        "storage_classes": [_class("standard")],
        "ingress_classes": [_named("nginx")],
        "nodes": [_node()],
        "tls_secrets": [_tls(HOST)],
    }
    hub = Hub.model_validate(load_profile("iav-v1").model_dump() | seen.pop("hub", {}))
    found = cluster_problems(hub, SeenCluster(**{**good, **seen}), NOW)
    assert all(problem.remedy for problem in found)
    return [f"{'' if problem.fatal else 'note: '}{problem.what}: {problem.found}" for problem in found]


@pytest.mark.parametrize(
    "seen",
    [
        {},
        {"tls_secrets": [_tls("*.example.internal")]},
        {"quotas": [_quota("pods", "10", "9"), _quota("limits.memory", "4Gi", "3Gi")]},
        {"limit_ranges": [_limit(max={"memory": "1Gi", "cpu": "1"}, min={"memory": "256Mi"})]},
        {"nodes": [_node(unschedulable=True), _node(memory="256Mi", cpu="100m")]},
        {"claims": [_named("jupyterhub-shared-home")], "storage_classes": [_class("other")]},
        {"tls_secrets": None, "claims": None, "quotas": None, "limit_ranges": None},
        {"hub": {"ingress": None, "checks": {"url": "http://hub.test"}}, "tls_secrets": [], "ingress_classes": []},
    ],
)
def test_nothing_is_found_where_everything_is_there(seen: dict[str, Any]) -> None:
    assert _problems(**seen) == []


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"storage_classes": [_class("other")]}, "StorageClass standard: there is none of that name"),
        (
            {"storage_classes": [_class("standard", "kubernetes.io/no-provisioner")]},
            "StorageClass standard: it has no provisioner",
        ),
        ({"storage_classes": [_class("standard", default=False)]}, "StorageClass: the cluster has no default one"),
        (
            {"storage_classes": [_class("standard", "ebs.csi.aws.com")]},
            "StorageClass standard: ebs.csi.aws.com makes volumes for one node at a time",
        ),
        ({"storage_classes": None}, "note: storage classes: this account may not look at them"),
        ({"ingress_classes": [_named("traefik")]}, "IngressClass nginx: there is none of that name"),
        ({"ingress_classes": []}, "IngressClass nginx: there is none of that name"),
        ({"ingress_classes": None}, "note: Ingress classes: this account may not look at them"),
        ({"tls_secrets": []}, "Secret jupyterhub-tls: there is none of that name"),
        (
            {"tls_secrets": [{"data": {"tls.crt": "AAAA"}}]},
            "Secret jupyterhub-tls: it holds no certificate with its key",
        ),
        ({"tls_secrets": [{}]}, "Secret jupyterhub-tls: it holds no certificate with its key"),
        ({"tls_secrets": [_tls(HOST, key=OTHER_KEY)]}, "Secret jupyterhub-tls: its key is not that of its certificate"),
        ({"tls_secrets": [_tls("other.internal")]}, f"its certificate is for other.internal, not for {HOST}"),
        ({"tls_secrets": [_tls("*.internal")]}, f"its certificate is for *.internal, not for {HOST}"),
        ({"tls_secrets": [_tls()]}, f"its certificate is for no host at all, not for {HOST}"),
        ({"tls_secrets": [_tls(HOST, days=-1)]}, "its certificate expired on 2026-02-28"),
        ({"tls_secrets": [_tls(HOST, days=13)]}, "note: Secret jupyterhub-tls: its certificate expires on 2026-03-14"),
        ({"nodes": []}, "nodes: none is ready and takes pods"),
        ({"nodes": [_node(ready="False")]}, "nodes: none is ready and takes pods"),
        ({"nodes": None}, "note: nodes: this account may not look at them"),
        ({"nodes": [_node(memory="255Mi")]}, "allocatable memory: no node has 256Mi to give"),
        ({"nodes": [_node(cpu="50m")]}, "allocatable cpu: no node has 100m to give"),
        ({"quotas": [_quota("limits.memory", "4Gi", "3500Mi")]}, "ResourceQuota team: limits.memory is 4Gi"),
        ({"quotas": [_quota("pods", "5", "5")]}, "ResourceQuota team: pods is 5, of which 5 is used"),
        ({"limit_ranges": [_limit(max={"memory": "512Mi"})]}, "a Container may have 512Mi of memory at most"),
        ({"limit_ranges": [_limit(min={"cpu": "200m"})]}, "a Container must ask for 200m of cpu"),
    ],
)
def test_each_thing_that_is_missing_or_wrong_is_found(seen: dict[str, Any], said: str) -> None:
    [found] = _problems(**seen)
    assert said in found


def test_everything_is_found_at_once() -> None:
    nothing = {"storage_classes": [], "ingress_classes": [], "nodes": [], "tls_secrets": []}
    found = _problems(**nothing)
    assert [problem.split(":")[0] for problem in found] == [
        "StorageClass standard", "StorageClass", "IngressClass nginx", "Secret jupyterhub-tls", "nodes",
    ]  # fmt: skip
