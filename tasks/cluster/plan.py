"""Phase cluster, what should be there: pure, from the spec and the secrets that it names."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from kubernetes.utils.quantity import parse_quantity
from pydantic import SecretStr

from config.spec import Hub, SharedStorage
from tasks.core.change import Action, Change, Plan
from tasks.core.errors import Permanent
from tasks.core.names import CHART_SECRET, KEYS_SECRET
from tasks.core.objects import (
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    INGRESS,
    LEASE,
    LIMIT_RANGE,
    LOG,
    NAMESPACE,
    POD,
    QUOTA,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    Access,
    Body,
    WantedObject,
    plan_object,
)

EVERY_VERB = ("create", "delete", "get", "list", "patch", "update", "watch")
WATCHED = ("get", "list", "watch")
HANDED_OUT = (CONFIG_MAP, CLAIM, POD, SECRET, SERVICE, INGRESS)
HUB_RULES = (
    # What KubeSpawner 7.1 does to a user's pod, volume, service and secret ...
    {
        "apiGroups": [""],
        "resources": ["configmaps", "persistentvolumeclaims", "pods", "secrets", "services"],
        "verbs": [*EVERY_VERB],
    },
    # ... and the progress that it shows while a server starts.
    {"apiGroups": [""], "resources": ["events"], "verbs": [*WATCHED]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": [*EVERY_VERB]},
)


@dataclass(frozen=True)
class HubSecrets:
    """What the hub keeps secret: what people chose, and what was drawn at random for it."""

    chosen: Mapping[str, Mapping[str, SecretStr]]
    """By the name of the Secret that keeps it."""
    keys: Mapping[str, SecretStr]


def wanted_namespace(hub: Hub) -> WantedObject:
    """Where everything is."""
    return WantedObject(NAMESPACE, hub.cluster.namespace, None)


def wanted_objects(hub: Hub, secrets: HubSecrets) -> tuple[WantedObject, ...]:
    """What must be in the namespace before the chart is installed, in the order in which it is made."""
    namespace, account = hub.cluster.namespace, hub.cluster.service_account
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account}
    objects = [
        WantedObject(SERVICE_ACCOUNT, account, namespace),
        WantedObject(ROLE, account, namespace, {"rules": [dict(rule) for rule in HUB_RULES]}),
        WantedObject(ROLE_BINDING, account, namespace, {"roleRef": role, "subjects": [subject]}),
        *(secret_object(name, namespace, data) for name, data in secrets.chosen.items()),
        secret_object(KEYS_SECRET, namespace, secrets.keys),
        _chart_secret(hub, secrets.keys),
    ]
    if hub.storage.shared:
        objects.append(_shared_claim(hub.storage.shared, namespace))
    return tuple(objects)


def secret_object(name: str, namespace: str, data: Mapping[str, SecretStr]) -> WantedObject:
    """A Secret with exactly this."""
    return WantedObject(SECRET, name, namespace, _secret_fields(data))


def permissions(hub: Hub) -> tuple[Access, ...]:
    """Everything that the account needs for this phase, the fence and the records.

    Who makes a Role must have every right in it (Kubernetes' documentation, RBAC: privilege escalation prevention).
    """
    namespace = hub.cluster.namespace
    ours = (SERVICE_ACCOUNT, ROLE, ROLE_BINDING, SECRET, CLAIM, CONFIG_MAP)
    return (
        Access("get", NAMESPACE, namespace),
        *(Access(verb, kind, namespace) for kind in ours for verb in ("create", "get", "patch")),
        *(Access(verb, LEASE, namespace) for verb in ("create", "get", "update")),
        *(Access("list", kind, namespace) for kind in (CLAIM, CONFIG_MAP, DEPLOYMENT, LIMIT_RANGE, POD, QUOTA)),
        *(Access(verb, kind, namespace) for kind in HANDED_OUT for verb in EVERY_VERB),
        *(Access(verb, EVENT, namespace) for verb in WATCHED),
        Access("get", LOG, namespace),
    )


def plan_claim(wanted: WantedObject, seen: Body | None, growable: Callable[[], bool]) -> Plan:
    """What applying a claim changes: making it, or growing it where its class allows (asked only then).

    Raises Permanent for everything else, since it could only be had by deleting the volume.
    """
    if seen is None:
        return plan_object(wanted, None)
    want, have = wanted.fields["spec"], seen["spec"]
    changed = [
        f"{name} is {have.get(name)!r} and should be {want[name]!r}"
        for name in ("storageClassName", "accessModes")
        if have.get(name) != want[name]
    ]
    before, after = _size(have), _size(want)
    if after < before:
        changed.append("it would have to shrink")
    elif after > before and not growable():
        changed.append(f"it would have to grow, which StorageClass {have.get('storageClassName')} does not allow")
    if changed:
        remedy = "correct storage in the profile; Hubwright never makes a volume anew, since its files would be lost"
        raise Permanent("Kubernetes", f"change {wanted.title}", "; ".join(changed), remedy)
    if after == before:
        return Plan()
    size = (part["resources"]["requests"]["storage"] for part in (have, want))
    return Plan((Change.of(Action.UPDATE, f"{wanted.title} size", *size),))


def _size(spec: Body) -> Decimal:
    return parse_quantity(spec["resources"]["requests"]["storage"])


def _shared_claim(shared: SharedStorage, namespace: str) -> WantedObject:
    spec = {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": shared.size}},
        "storageClassName": shared.storage_class,
    }
    return WantedObject(CLAIM, shared.claim, namespace, {"spec": spec})


def _secret_fields(data: Mapping[str, SecretStr]) -> dict[str, object]:
    encoded = {key: base64.b64encode(value.get_secret_value().encode()).decode() for key, value in data.items()}
    return {"type": "Opaque", "data": encoded}


def _chart_secret(hub: Hub, keys: Mapping[str, SecretStr]) -> WantedObject:
    """The chart's own Secret, made before the chart and marked as Helm's.

    The chart looks there before it draws anything at random. So its first rendering has our keys already,
    every later one is the same, and no key stands in the release's values (facts: the first upgrade after
    an install with drawn keys restarts hub and proxy).
    """
    metadata = {
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {
            "meta.helm.sh/release-name": hub.release.name,
            "meta.helm.sh/release-namespace": hub.cluster.namespace,
        },
    }
    fields = {"metadata": metadata, **_secret_fields(keys)}
    return WantedObject(SECRET, CHART_SECRET, hub.cluster.namespace, fields, once=True)
