"""Kubernetes objects as we want them, and the pure comparison with those that are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from tasks.core.change import Action, Change, Plan
from tasks.core.differences import MISSING, differences

FIELD_MANAGER = "hubwright"

Body = Mapping[str, Any]
"""An object as the Kubernetes API writes it."""


@dataclass(frozen=True)
class Kind:
    """A kind of object and its place in the API's paths."""

    api_version: str
    name: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group; "" for the core one."""
        return self.api_version.rpartition("/")[0]


NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
SECRET = Kind("v1", "Secret", "secrets")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
CLAIM = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
POD = Kind("v1", "Pod", "pods")
ROLE = Kind("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDING = Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
SERVICE = Kind("v1", "Service", "services")
EVENT = Kind("v1", "Event", "events")
NODE = Kind("v1", "Node", "nodes", namespaced=False)
QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
LIMIT_RANGE = Kind("v1", "LimitRange", "limitranges")
EXEC = Kind("v1", "PodExecOptions", "pods/exec")
LOG = Kind("v1", "PodLogOptions", "pods/log")
REPLICA_SET = Kind("apps/v1", "ReplicaSet", "replicasets")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
INGRESS = Kind("networking.k8s.io/v1", "Ingress", "ingresses")
INGRESS_CLASS = Kind("networking.k8s.io/v1", "IngressClass", "ingressclasses", namespaced=False)
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
STORAGE_CLASS = Kind("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False)
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")
ACCESS_REVIEW = Kind("authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False)
RULES_REVIEW = Kind("authorization.k8s.io/v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", namespaced=False)


@dataclass(frozen=True)
class Access:
    """Something that an account may have to do: a verb on a kind of object, in a namespace or in all."""

    verb: str
    kind: Kind
    namespace: str | None

    @property
    def resource(self) -> str:
        """The kind as Roles name it."""
        return f"{self.kind.plural}.{self.kind.group}" if self.kind.group else self.kind.plural

    @property
    def where(self) -> str:
        """The namespace, in words."""
        return f"in namespace {self.namespace}" if self.namespace else "in the whole cluster"


@dataclass(frozen=True)
class WantedObject:
    """An object as it should be: the fields that we care about, and no others.

    With ``once`` it is made when it is missing and never changed afterwards, for what was drawn at random.
    """

    kind: Kind
    name: str
    namespace: str | None
    fields: Body = field(default_factory=dict[str, Any], repr=False)
    once: bool = False

    @property
    def title(self) -> str:
        """How plans and messages call it."""
        return f"{self.kind.name} {self.name}"

    @property
    def body(self) -> dict[str, Any]:
        """The whole object, as it is sent."""
        metadata = {**self.fields.get("metadata", {}), "name": self.name}
        if self.namespace:
            metadata["namespace"] = self.namespace
        return {**self.fields, "apiVersion": self.kind.api_version, "kind": self.kind.name, "metadata": metadata}


def plan_object(wanted: WantedObject, seen: Body | None) -> Plan:
    """What applying an object would change; empty when every field is as wanted and none of ours is left over.

    A field that we never set is somebody else's and stays out of the plan; one that we set before and want
    no more is found by the managed fields that the API server keeps for us.
    """
    if seen is None:
        return Plan((_change(wanted, Action.CREATE, "", ""),))
    if wanted.once:
        return Plan()
    changes = list(_differences(wanted, seen))
    changes += [
        _change(wanted, Action.DELETE, path, "") for path in sorted(_owned_paths(seen) - _paths(wanted.body, ""))
    ]
    return Plan(tuple(changes))


def no_longer_wanted(before: Iterable[WantedObject], after: Iterable[WantedObject]) -> tuple[str, ...]:
    """Titles of the objects that were wanted and are not any more."""
    names = {one.title for one in after}
    return tuple(one.title for one in before if one.title not in names)


def _change(wanted: WantedObject, action: Action, path: str, value: object) -> Change:
    what = f"{wanted.title} {path}".rstrip()
    if wanted.kind == SECRET:
        return Change.hidden(action, what)
    return Change.of(action, what, value, "")


def _differences(wanted: WantedObject, seen: Body) -> Iterator[Change]:
    for path, have, want in differences(wanted.fields, seen):
        action = Action.CREATE if have is MISSING else Action.UPDATE
        what = f"{wanted.title} {path}"
        yield Change.hidden(action, what) if wanted.kind == SECRET else Change.of(action, what, have or "", want)


def _owned_paths(seen: Body) -> set[str]:
    """Dotted paths of the mapping fields that our field manager owns in an object."""
    entries = cast("Sequence[Body]", seen.get("metadata", {}).get("managedFields", ()))
    ours = [
        entry
        for entry in entries
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource")
    ]
    return {path for entry in ours for path in _leaf_fields(entry.get("fieldsV1", {}), "")}


def _leaf_fields(fields: Body, path: str) -> set[str]:
    """Paths in a FieldsV1 tree, down to where it enters a list (keys ``k:`` and ``v:``)."""
    inner = {key[2:]: value for key, value in fields.items() if key.startswith("f:")}
    if not inner:
        return {path} if path else set()
    paths: set[str] = set()
    for key, value in inner.items():
        paths |= _leaf_fields(value, f"{path}.{key}".lstrip("."))
    return paths


def _paths(value: Any, path: str) -> set[str]:
    """Every dotted path of nested mappings, inner ones too."""
    found = {path} if path else set[str]()
    if isinstance(value, Mapping):
        for key, inner in cast("Body", value).items():
            found |= _paths(inner, f"{path}.{key}".lstrip("."))
    return found
