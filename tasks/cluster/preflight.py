"""What a hub needs of its cluster before anything is made, and whether it is there: pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from kubernetes.utils.quantity import parse_quantity

from config.server import Share
from config.spec import Allowance, Hub
from tasks.cluster.state import SeenCluster, parse_certificate
from tasks.core.objects import Body
from tasks.core.problems import Problem

EXPIRES_SOON = timedelta(days=14)
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
"""A class of volumes that somebody makes by hand (Kubernetes' documentation, Storage Classes: Local)."""
ONE_NODE_ONLY = (
    "kubernetes.io/aws-ebs", "ebs.csi.aws.com", "kubernetes.io/azure-disk", "disk.csi.azure.com",
    "kubernetes.io/gce-pd", "pd.csi.storage.gke.io", "kubernetes.io/cinder", "cinder.csi.openstack.org",
    "kubernetes.io/vsphere-volume", "rbd.csi.ceph.com", "rook-ceph.rbd.csi.ceph.com", "topolvm.io",
)  # fmt: skip
"""Provisioners of block devices: their volumes with a file system are ReadWriteOnce, says each one's documentation."""


def cluster_problems(hub: Hub, seen: SeenCluster, now: datetime) -> tuple[Problem, ...]:
    """What stands in the way, all of it."""
    return (
        *_storage_problems(hub, seen),
        *_ingress_problems(hub, seen, now),
        *_node_problems(hub, seen.nodes),
        *_quota_problems(hub, seen.quotas or ()),
        *_limit_problems(hub, seen.limit_ranges or ()),
    )


def _storage_problems(hub: Hub, seen: SeenCluster) -> Iterator[Problem]:
    if seen.storage_classes is None:
        yield _unseen("storage classes", "storageclasses")
        return
    classes = {found["metadata"]["name"]: found for found in seen.storage_classes}
    storage = hub.storage
    asked = {"storage.home": storage.home.storage_class, "storage.database": storage.database.storage_class}
    if storage.shared and not _has_claim(seen.claims or (), storage.shared.claim):
        asked["storage.shared"] = storage.shared.storage_class
    for name in sorted({found for found in asked.values() if found}):
        keys = ", ".join(key for key, value in asked.items() if value == name)
        yield from _class_problems(name, keys, classes.get(name))
    default = any(_is_default(found) for found in classes.values())
    if None in asked.values() and not default:
        keys = ", ".join(key for key, value in asked.items() if value is None)
        remedy = f"name one in {keys} of the profile, or mark one with the annotation {DEFAULT_CLASS}"
        yield Problem("StorageClass", "the cluster has no default one", remedy)
    shared = classes.get(asked.get("storage.shared") or "")
    if shared and shared["provisioner"] in ONE_NODE_ONLY:
        remedy = "choose a class of shared file systems (NFS, CephFS, …) in storage.shared.storage_class"
        found = f"{shared['provisioner']} makes volumes for one node at a time, and the shared one is ReadWriteMany"
        yield Problem(f"StorageClass {shared['metadata']['name']}", found, remedy)


def _class_problems(name: str, keys: str, found: Body | None) -> Iterator[Problem]:
    remedy = f"choose another in {keys} of the profile, or have it made"
    if found is None:
        yield Problem(f"StorageClass {name}", "there is none of that name", remedy)
    elif found["provisioner"] == NO_PROVISIONER:
        yield Problem(f"StorageClass {name}", "it has no provisioner: nobody would make the volumes", remedy)


def _ingress_problems(hub: Hub, seen: SeenCluster, now: datetime) -> Iterator[Problem]:
    if hub.ingress is None:
        return
    wanted, host = hub.ingress.ingress_class, hub.ingress.host
    if seen.ingress_classes is None:
        yield _unseen("Ingress classes", "ingressclasses.networking.k8s.io")
    elif wanted not in (names := [found["metadata"]["name"] for found in seen.ingress_classes]):
        has = f"the cluster has {', '.join(names)}" if names else "the cluster has none: install an Ingress controller"
        yield Problem(f"IngressClass {wanted}", "there is none of that name", f"{has}; correct ingress.ingress_class")
    secret = f"Secret {hub.ingress.tls_secret}"
    make = f"kubectl create secret tls {hub.ingress.tls_secret} --namespace {hub.cluster.namespace} --cert … --key …"
    if seen.tls_secrets is None:
        return  # the permission that is missing is a problem of its own
    if not seen.tls_secrets:
        yield Problem(secret, "there is none of that name", f"{make} (and the namespace first, if it is not there)")
    for found in seen.tls_secrets:
        yield from _certificate_problems(secret, host, found, now, make)


def _certificate_problems(secret: str, host: str, body: Body, now: datetime, make: str) -> Iterator[Problem]:
    certificate = parse_certificate(body)
    if certificate is None:
        yield Problem(secret, "it holds no certificate with its key, in tls.crt and tls.key", make)
        return
    if not certificate.own_key:
        yield Problem(secret, "its key is not that of its certificate", make)
    if not any(_is_for(name, host) for name in certificate.names):
        named = ", ".join(certificate.names) or "no host at all"
        yield Problem(secret, f"its certificate is for {named}, not for {host}", "have one issued for ingress.host")
    left = certificate.not_after - now
    if left <= timedelta(0):
        yield Problem(secret, f"its certificate expired on {certificate.not_after:%Y-%m-%d}", "have it renewed")
    elif left < EXPIRES_SOON:
        found = f"its certificate expires on {certificate.not_after:%Y-%m-%d}, in {left.days} days"
        yield Problem(secret, found, "have it renewed", fatal=False)


def _node_problems(hub: Hub, nodes: Sequence[Body] | None) -> Iterator[Problem]:
    if nodes is None:
        yield _unseen("nodes", "nodes")
        return
    usable = [node for node in nodes if _is_usable(node)]
    if not usable:
        yield Problem("nodes", "none is ready and takes pods", "look at kubectl describe nodes")
    for resource, share in _shares(hub).items():
        most = max((_amount(node["status"].get("allocatable"), resource) for node in usable), default=Decimal(0))
        if usable and most < parse_quantity(share.guarantee):
            remedy = f"lower server.{resource}.guarantee in the profile, or add a larger node"
            found = f"no node has {share.guarantee} to give, which is what one server is guaranteed"
            yield Problem(f"allocatable {resource}", found, remedy)


def _quota_problems(hub: Hub, quotas: Sequence[Body]) -> Iterator[Problem]:
    needs = {"pods": Decimal(1)}
    for resource, share in _shares(hub).items():
        needs |= {
            f"requests.{resource}": parse_quantity(share.guarantee),
            resource: parse_quantity(share.guarantee),
            f"limits.{resource}": parse_quantity(share.limit),
        }
    for quota in quotas:
        status = quota.get("status", {})
        for resource, need in needs.items():
            if resource not in (status.get("hard") or {}):
                continue
            hard, used = _amount(status.get("hard"), resource), _amount(status.get("used"), resource)
            if hard - used < need:
                found = f"{resource} is {status['hard'][resource]}, of which {used.normalize():f} is used"
                remedy = f"one user's server needs {need.normalize():f} more: have the quota raised, or lower server"
                yield Problem(f"ResourceQuota {quota['metadata']['name']}", found, remedy)


def _limit_problems(hub: Hub, limit_ranges: Sequence[Body]) -> Iterator[Problem]:
    for found in limit_ranges:
        for limit in found["spec"].get("limits", ()):
            if limit["type"] in ("Container", "Pod"):
                yield from _limit_range_problems(hub, found["metadata"]["name"], limit)


def _limit_range_problems(hub: Hub, name: str, limit: Body) -> Iterator[Problem]:
    smallest = {"memory": [one.memory for one in _allowances(hub)], "cpu": [one.cpu for one in _allowances(hub)]}
    for resource, share in _shares(hub).items():
        most, least = limit.get("max", {}).get(resource), limit.get("min", {}).get(resource)
        if most and parse_quantity(share.limit) > parse_quantity(most):
            remedy = f"lower server.{resource}.limit ({share.limit}) in the profile, or have the LimitRange changed"
            yield Problem(f"LimitRange {name}", f"a {limit['type']} may have {most} of {resource} at most", remedy)
        asked = min((one.guarantee for one in smallest[resource]), key=parse_quantity)
        if least and parse_quantity(asked) < parse_quantity(least):
            remedy = f"raise server.{resource}.guarantee ({asked}), or have the LimitRange changed"
            yield Problem(f"LimitRange {name}", f"a {limit['type']} must ask for {least} of {resource}", remedy)


def _shares(hub: Hub) -> dict[str, Share]:
    """What the server of somebody with every role gets, by resource: the most that one server may need."""
    most = hub.allowance_for(hub.allowances)
    assert most
    return {"memory": most.memory, "cpu": most.cpu}


def _allowances(hub: Hub) -> list[Allowance]:
    return [*hub.allowances.values()]


def _unseen(what: str, resource: str) -> Problem:
    remedy = f"give it get and list of {resource} by a ClusterRole, if mistakes there are to be found beforehand"
    return Problem(what, "this account may not look at them", remedy, fatal=False)


def _has_claim(claims: Sequence[Body], name: str) -> bool:
    return any(claim["metadata"]["name"] == name for claim in claims)


def _is_default(storage_class: Body) -> bool:
    return (storage_class["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"


def _is_for(name: str, host: str) -> bool:
    """Whether a certificate's name means a host: itself, or with a wildcard for its first label (RFC 6125, 6.4.3)."""
    return name == host or (name.startswith("*.") and name[1:] == host[host.find(".") :])


def _is_usable(node: Body) -> bool:
    ready = [one["status"] for one in node.get("status", {}).get("conditions", ()) if one["type"] == "Ready"]
    return ready == ["True"] and not node.get("spec", {}).get("unschedulable")


def _amount(amounts: Body | None, resource: str) -> Decimal:
    return parse_quantity((amounts or {}).get(resource, "0"))
