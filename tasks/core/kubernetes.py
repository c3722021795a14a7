"""The Kubernetes API: read, list, create, and server-side apply of objects. Its failures become our errors."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from kubernetes import client, config
from urllib3.exceptions import HTTPError

from tasks.core.access import missing_access
from tasks.core.change import Plan
from tasks.core.errors import Conflict, HubError, Permanent, Transient
from tasks.core.execution import run_in_pod
from tasks.core.objects import (
    ACCESS_REVIEW,
    FIELD_MANAGER,
    POD,
    RULES_REVIEW,
    Access,
    Body,
    Kind,
    WantedObject,
    plan_object,
)

IN_POD = "KUBERNETES_SERVICE_HOST"
"""The variable by which the library knows that it runs in a pod."""
CONNECT_SECONDS = 5
READ_SECONDS = 30
PATCHES = {"PATCH": "application/apply-patch+yaml", "MERGE": "application/merge-patch+json"}
BAD_REQUEST, NOT_FOUND, CONFLICT, SERVER_ERROR = 400, 404, 409, 500
TRANSIENT = (408, 429)
REMEDIES = {
    400: "the object cannot become what the profile asks for: change the profile",
    401: "the cluster does not know this account: renew the kubeconfig",
    403: "give this account the permission that the message names, by a Role and a RoleBinding",
    404: "check that the namespace exists and that the cluster knows this kind of object",
    409: "somebody else manages these fields: let the manager that the message names leave them, or take them over"
    f" with kubectl apply --server-side --force-conflicts --field-manager={FIELD_MANAGER}",
    422: "the object cannot become what the profile asks for: change the profile",
}


class Kubernetes:
    """One cluster: that of the kubeconfig (``KUBECONFIG``), or the one that this process runs in."""

    def __init__(self, api: client.ApiClient, may_write: Callable[[], None] = lambda: None) -> None:
        self._api = api
        self._may_write = may_write

    @classmethod
    def connect(
        cls,
        *,
        may_write: Callable[[], None] = lambda: None,
        kubeconfig: Path | None = None,
        user_agent: str = "hubwright",
    ) -> Kubernetes:
        """A client that asks ``may_write``, which raises when it may not, before each write.

        Raises Permanent when there is neither a kubeconfig nor a pod's service account.
        """
        configuration = client.Configuration()
        try:
            # The library reads the variable only once, when it is imported.
            file = str(kubeconfig or os.environ.get("KUBECONFIG", ""))
            if file or not os.environ.get(IN_POD):
                config.load_kube_config(client_configuration=configuration, config_file=file or None)
            else:
                config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException as error:
            remedy = "point KUBECONFIG to the cluster's kubeconfig, or run inside the cluster"
            raise Permanent("Kubernetes", "find the cluster", str(error), remedy) from error
        api = client.ApiClient(configuration)
        api.user_agent = user_agent
        return cls(api, may_write)

    @property
    def host(self) -> str:
        """Address of the API server."""
        return str(self._api.configuration.host)

    def read(self, kind: Kind, name: str, namespace: str | None) -> Body | None:
        """An object, or None when there is none of that name."""
        return self._call("GET", _path(kind, namespace, name), missing_is_none=True)

    def list(self, kind: Kind, namespace: str | None, labels: str = "") -> tuple[Body, ...]:
        """The objects of a kind whose labels match a selector; all of them without one."""
        answer = self._call("GET", _path(kind, namespace), query=[("labelSelector", labels)] if labels else [])
        return tuple(answer["items"]) if answer else ()

    def read_version(self) -> str:
        """Version of the API server, as ``v1.34.4``."""
        answer = self._call("GET", "/version")
        return str((answer or {}).get("gitVersion", ""))

    def read_log(self, pod: str, namespace: str, container: str, lines: int, *, previous: bool) -> str:
        """The last lines of a container's log, or of the one that ran before it; "" where there is none."""
        query = [("container", container), ("tailLines", str(lines)), ("previous", str(previous).lower())]
        try:
            return self._send("GET", f"{_path(POD, namespace, pod)}/log", query=query).decode(errors="replace")
        except Permanent:
            return ""  # the container has not run, or its log is gone

    def knows(self, kind: Kind) -> bool:
        """Whether the cluster has this kind of object."""
        found = self._call("GET", _group(kind), missing_is_none=True) or {"resources": ()}
        return any(resource["name"] == kind.plural for resource in found["resources"])

    def list_denied(self, wanted: Sequence[Access], namespace: str) -> tuple[Access, ...]:
        """What of this the account may not do. Asks the API server, which keeps nothing of it.

        One review of all rules in the namespace answers most of it; what those do not show is asked one by
        one, since an authorizer other than RBAC need not list its rules.
        """
        reviewed = self._review(RULES_REVIEW, {"namespace": namespace})
        unsure = missing_access(wanted, reviewed.get("resourceRules") or ())
        return tuple(access for access in unsure if not self._allows(access))

    def _allows(self, access: Access) -> bool:
        attributes = {"verb": access.verb, "group": access.kind.group, "resource": access.kind.plural}
        where = {"namespace": access.namespace} if access.namespace else {}
        return bool(self._review(ACCESS_REVIEW, {"resourceAttributes": attributes | where}).get("allowed"))

    def _review(self, kind: Kind, spec: Body) -> Body:
        body = {"apiVersion": kind.api_version, "kind": kind.name, "spec": spec}
        return (self._call("POST", _path(kind, None), body=body) or {}).get("status", {})

    def create(self, wanted: WantedObject) -> Body:
        """The object exists; returns it. Raises Conflict when it did before."""
        self._may_write()
        query = [("fieldManager", FIELD_MANAGER)]
        return self._call("POST", _path(wanted.kind, wanted.namespace), query=query, body=wanted.body) or {}

    def replace(self, wanted: WantedObject) -> Body:
        """The object is exactly this one; returns it. Raises Conflict when its resourceVersion is not the newest."""
        self._may_write()
        path = _path(wanted.kind, wanted.namespace, wanted.name)
        answer = self._call("PUT", path, query=[("fieldManager", FIELD_MANAGER)], body=wanted.body)
        return answer or {}

    def apply(self, wanted: WantedObject) -> None:
        """The object has the wanted fields, and they are ours (server-side apply).

        Raises Permanent, with the other manager's name, when somebody else set one of them.
        """
        self._may_write()
        path = _path(wanted.kind, wanted.namespace, wanted.name)
        self._call("PATCH", path, query=[("fieldManager", FIELD_MANAGER)], body=wanted.body)

    def take(self, wanted: WantedObject) -> None:
        """As ``apply``, and fields that somebody else set are ours from now on: for what nobody else may write."""
        self._may_write()
        path = _path(wanted.kind, wanted.namespace, wanted.name)
        self._call("PATCH", path, query=[("fieldManager", FIELD_MANAGER), ("force", "true")], body=wanted.body)

    def merge(self, kind: Kind, name: str, namespace: str, fields: Body) -> None:
        """The object has these fields, whoever set them before (JSON Merge Patch, RFC 7396)."""
        self._may_write()
        self._call("MERGE", _path(kind, namespace, name), query=[("fieldManager", FIELD_MANAGER)], body=fields)

    def delete(self, kind: Kind, name: str, namespace: str | None) -> None:
        """There is no such object, or it is on its way out; what depends on it goes with it."""
        self._may_write()
        query = [("propagationPolicy", "Background")]
        self._call("DELETE", _path(kind, namespace, name), query=query, missing_is_none=True)

    def run(self, pod: str, namespace: str, container: str, argv: Sequence[str], seconds: float) -> str:
        """What a command in a pod's container wrote. Raises Permanent when it failed, Transient without an answer."""
        return run_in_pod(self._api.configuration, namespace, pod, container, argv, seconds)

    def plan(self, wanted: WantedObject) -> Plan:
        """What ``ensure`` would change. Reads only."""
        return plan_object(wanted, self.read(wanted.kind, wanted.name, wanted.namespace))

    def ensure(self, wanted: WantedObject) -> Plan:
        """The object is as wanted; returns what changed. Writes nothing when it was."""
        plan = self.plan(wanted)
        if not plan.empty:
            if wanted.once:
                self.create(wanted)
            else:
                self.apply(wanted)
        return plan

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: list[tuple[str, str]] | None = None,
        body: Body | None = None,
        missing_is_none: bool = False,
    ) -> Body | None:
        """An answer in JSON; None for an object that is not there, where that is an answer too."""
        try:
            text = self._send(method, path, query=query, body=body)
        except _NotFound:
            if missing_is_none:
                return None
            raise
        try:
            return json.loads(text)
        except ValueError as error:
            remedy = "check what stands between here and the API server: that is not its answer"
            raise Transient("Kubernetes", f"{method} {path}", "an answer that is not JSON", remedy) from error

    def _send(
        self, method: str, path: str, *, query: list[tuple[str, str]] | None = None, body: Body | None = None
    ) -> bytes:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = PATCHES.get(method, "application/json")
        method = "PATCH" if method in PATCHES else method
        request = self._api.param_serialize(
            method, path, query_params=query, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        asked = f"{method} {path}"
        try:
            answer = self._api.call_api(*request, _request_timeout=(CONNECT_SECONDS, READ_SECONDS))
            text = answer.read()
        except HTTPError as error:
            raise _unreachable(self.host, asked, error) from error
        if answer.status >= BAD_REQUEST:
            raise _as_hub_error(asked, answer.status, _message(text, str(answer.reason)))
        return text


class _NotFound(Permanent):
    """There is no such object, or no such kind."""


def _group(kind: Kind) -> str:
    return f"/apis/{kind.api_version}" if "/" in kind.api_version else f"/api/{kind.api_version}"


def _path(kind: Kind, namespace: str | None, name: str = "") -> str:
    where = f"/namespaces/{namespace}" if kind.namespaced and namespace else ""
    return f"{_group(kind)}{where}/{kind.plural}" + (f"/{name}" if name else "")


def _unreachable(host: str, asked: str, error: HTTPError) -> Transient:
    reason = str(getattr(error, "reason", error)).split(": ", 1)[-1]
    remedy = "check that the API server runs and that this machine reaches it, then run again"
    return Transient("Kubernetes", asked, f"{host} cannot be reached: {reason}", remedy)


def _as_hub_error(asked: str, status: int, said: str) -> HubError:
    """Our error for an answer of the API server."""
    answered = f"{status} {said}"
    if status in TRANSIENT or status >= SERVER_ERROR:
        return Transient("Kubernetes", asked, answered, "wait for the API server to recover, then run again")
    kind: type[Permanent] = {NOT_FOUND: _NotFound, CONFLICT: Conflict}.get(status, Permanent)
    return kind("Kubernetes", asked, answered, REMEDIES.get(status, "read the message, and the API server's log"))


def _message(text: bytes, reason: str) -> str:
    """The message of a Status object; of anything else only the reason, since it might quote a secret."""
    try:
        status: Any = json.loads(text)
    except ValueError:
        return reason
    is_status = isinstance(status, dict) and cast("Body", status).get("kind") == "Status"
    return str(status.get("message", reason)) if is_status else reason
