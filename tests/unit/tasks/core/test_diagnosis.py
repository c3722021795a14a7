"""Diagnoses: situations as Kubernetes 1.34 writes them, and what is said of each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.diagnosis import CAUSE_HEAD, CAUSE_TAIL, LOG_LINES, Diagnosis, diagnose
from tasks.core.remedies import Trouble

SINCE = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEFORE, EARLY, LATE = "2026-03-01T11:30:00Z", "2026-03-01T12:00:10Z", "2026-03-01T12:01:00Z"
AFTER_MINUTES = "2026-03-01T12:06:00Z"
IMAGE = "r.example/team/hub:v3"
NOT_FOUND = f'rpc error: code = NotFound desc = failed to pull and unpack image "{IMAGE}": {IMAGE}: not found'
NO_FILE = 'OCI runtime create failed: unable to start container process: exec: "jupyterhubb": executable file not found'
NO_SECRET = 'MountVolume.SetUp failed for volume "config" : secret "hub" not found'
NO_NFS = 'MountVolume.SetUp failed for volume "shared" : mount failed: exit status 32\nOutput: mount.nfs: timed out'
MULTI = 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) hub-1'
NO_CPU = "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: },"
NO_CPU += " 2 Insufficient cpu. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
UNBOUND = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: none"
NO_CLASS = 'storageclass.storage.k8s.io "fast" not found'
ASKED = "Waiting for a volume to be created either by the external provisioner 'csi.example' or manually"
QUOTA = "exceeded quota: team, requested: limits.memory=1Gi, used: limits.memory=4Gi, limited: limits.memory=4Gi"

Body = dict[str, Any]
Expected = list[tuple[Trouble, str, tuple[str, ...]]]


def _pod(name: str = "hub-1", *containers: Body, **more: Any) -> Body:
    """A pod that is not ready; ``conditions`` and ``status``, ``meta`` and ``spec`` add to it."""
    conditions = [{"type": kind, "status": value, **rest} for kind, value, rest in more.get("conditions", [])]
    volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in more.get("claims", [])]
    limits = {"limits": {"memory": "512Mi"}}
    asked = [{"name": one["name"], "image": IMAGE, "resources": limits} for one in containers]
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "creationTimestamp": EARLY, **more.get("meta", {})},
        "spec": {"containers": asked, "volumes": volumes, **more.get("spec", {})},
        "status": {
            "phase": "Pending",
            "conditions": [*conditions, {"type": "Ready", "status": "False"}],
            "containerStatuses": list(containers),
            **more.get("status", {}),
        },
    }


def _waiting(reason: str, message: str = "", **more: Any) -> Body:
    state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
    return {"name": "hub", "ready": False, "restartCount": 0, "state": state, "lastState": {}, **more}


def _ended(code: int, reason: str = "Error", at: str = LATE, **more: Any) -> Body:
    return {"terminated": {"exitCode": code, "reason": reason, "finishedAt": at, **more}}


def _running(last: Body, restarts: int = 1, **more: Any) -> Body:
    state = {"running": {"startedAt": LATE}}
    return {"name": "hub", "ready": False, "restartCount": restarts, "state": state, "lastState": last, **more}


def _event(reason: str, message: str = "", name: str = "hub-1", at: str = LATE, **more: Any) -> Body:
    kind, uid = more.pop("kind", "Pod"), more.pop("uid", f"uid-{name}")
    path = {"fieldPath": "spec.containers{hub}"} if kind == "Pod" else {}
    involved = {"kind": kind, "name": name, "uid": uid, **path}
    return {"involvedObject": involved, "reason": reason, "message": message, "lastTimestamp": at, **more}


def _of_container(name: str, event: Body) -> Body:
    return {**event, "involvedObject": {**event["involvedObject"], "fieldPath": f"spec.containers{{{name}}}"}}


def _init(status: Body, **asked: Any) -> Body:
    """A pod with one init container, whose main one waits for it."""
    spec = {"initContainers": [{"name": "hub", "image": IMAGE, **asked}], "containers": [{"name": "main"}]}
    main = _waiting("PodInitializing", name="main")
    return _pod(spec=spec, status={"initContainerStatuses": [status], "containerStatuses": [main]})


def _no_node(message: str, reason: str = "Unschedulable", **more: Any) -> Body:
    return _pod(conditions=[("PodScheduled", "False", {"reason": reason, "message": message})], **more)


def _placed(*containers: Body, **more: Any) -> Body:
    """A pod that has a node, and no sandbox yet."""
    conditions = [("PodScheduled", "True", {}), ("PodReadyToStartContainers", "False", {})]
    return _pod("hub-1", *(containers or [CREATING]), conditions=conditions, **more)


def _refused(why: str, at: str = LATE, kind: str = "ReplicaSet") -> Body:
    message = f'Error creating: pods "hub-6d5f-x2x4z" is forbidden: {why}'
    return _event("FailedCreate", message, "hub-6d5f", at, kind=kind)


def _claim(reason: str, message: str = "", at: str = LATE, **more: Any) -> Body:
    return _event(reason, message, "home", at, kind="PersistentVolumeClaim", **more)


def _owned(at: str, name: str = "hub-2", **more: Any) -> Body:
    owner = [{"kind": "ReplicaSet", "name": "hub-6d5f", "uid": "uid-hub-6d5f", "controller": True}]
    return _pod(name, meta={"creationTimestamp": at, "ownerReferences": owner}, **more)


CREATING = _waiting("ContainerCreating")
CRASH = _waiting("CrashLoopBackOff", "back-off 10s restarting failed", restartCount=2, lastState=_ended(1))
PULL_HELD = f'Back-off pulling image "{IMAGE}"'

TROUBLES: dict[str, tuple[list[Body], list[Body], Expected]] = {
    "the image is not there": (
        [_pod("hub-1", _waiting("ErrImagePull", NOT_FOUND))],
        [],
        [(Trouble.IMAGE, "Pod hub-1", (f"{IMAGE}: rpc error", "not found", "push this image"))],
    ),
    "the pull is held back, and the pod says why": (
        [_pod("hub-1", _waiting("ImagePullBackOff", f"{PULL_HELD}: ErrImagePull: {NOT_FOUND}"))],
        [],
        [(Trouble.IMAGE, "Pod hub-1", (f"{IMAGE}: rpc error", "push this image"))],
    ),
    "the pull is held back, and only an event says why": (
        [_pod("hub-1", _waiting("ImagePullBackOff", PULL_HELD))],
        [
            _event("Failed", f'Failed to pull image "{IMAGE}": 401 Unauthorized', at=EARLY),
            _event("Failed", "Error: ImagePullBackOff"),
            _of_container("side", _event("Failed", 'Failed to pull image "other": not found')),
        ],
        [(Trouble.IMAGE, "Pod hub-1", (f"{IMAGE}: 401 Unauthorized", "image pull secret"))],
    ),
    "the pull is held back, and nothing says why": (
        [_pod("hub-1", _waiting("ImagePullBackOff", PULL_HELD))],
        [_event("Failed", f'Failed to pull image "{IMAGE}": 401 Unauthorized', at=BEFORE)],
        [(Trouble.IMAGE, "Pod hub-1", (f"{IMAGE}: ImagePullBackOff", "by hand"))],
    ),
    "the image's name is wrong": (
        [_pod("hub-1", _waiting("InvalidImageName", 'couldn\'t parse image name "A": invalid reference format'))],
        [],
        [(Trouble.IMAGE, "Pod hub-1", ("correct the image's name",))],
    ),
    "an init container's image cannot be reached": (
        [_init(_waiting("RegistryUnavailable", "dial tcp 10.0.0.1:443: i/o timeout"), image="far.example/x")],
        [],
        [(Trouble.IMAGE, "Pod hub-1", ("far.example/x: dial tcp", "DNS"))],
    ),
    "two containers have the image that is not there": (
        [_pod("hub-1", *(_waiting("ErrImagePull", NOT_FOUND, name=name) for name in ("hub", "side")))],
        [],
        [(Trouble.IMAGE, "Pod hub-1", ("push this image",))],
    ),
    "it crashes": (
        [_pod("hub-1", CRASH)],
        [],
        [(Trouble.CRASH, "Pod hub-1", ("container hub ended with exit code 1", "log"))],
    ),
    "it crashes, and said why": (
        [_pod("hub-1", _waiting("CrashLoopBackOff", lastState=_ended(1, message="no database\n")))],
        [],
        [(Trouble.CRASH, "Pod hub-1", ("exit code 1: no database",))],
    ),
    "its memory is too little": (
        [_pod("hub-1", _running(_ended(137, "OOMKilled")))],
        [],
        [(Trouble.CRASH, "Pod hub-1", ("OOMKilled", "512Mi", "raise the container's memory limit"))],
    ),
    "it ends well, but should not end": (
        [_pod("hub-1", _running(_ended(0, "Completed")))],
        [],
        [(Trouble.CRASH, "Pod hub-1", ("exit code 0",))],
    ),
    "its postStart hook fails, and what that printed stays unsaid": (
        [_pod("hub-1", _waiting("PostStartHookError", "Exec lifecycle hook: token=abc"))],
        [],
        [(Trouble.CRASH, "Pod hub-1", ("its postStart hook failed", "run the hook's command"))],
    ),
    "its postStart hook failed before": (
        [_pod("hub-1", _waiting("CrashLoopBackOff", lastState=_ended(143)))],
        [_event("FailedPostStartHook", "PostStartHook failed")],
        [(Trouble.CRASH, "Pod hub-1", ("its postStart hook failed",))],
    ),
    "an init container fails": (
        [_init({"name": "hub", "ready": False, "state": _ended(2)})],
        [],
        [(Trouble.CRASH, "Pod hub-1", ("container hub ended with exit code 2",))],
    ),
    "a container beside the main one ends, but should not": (
        [_init(_running(_ended(0)), restartPolicy="Always")],
        [],
        [(Trouble.CRASH, "Pod hub-1", ("container hub ended with exit code 0",))],
    ),
    "a Secret for the environment is missing": (
        [_pod("hub-1", _waiting("CreateContainerConfigError", 'secret "hub" not found'))],
        [],
        [(Trouble.CONFIG, "Pod hub-1", ('container hub: secret "hub" not found', "make the Secret"))],
    ),
    "a key of a Secret is missing": (
        [_pod("hub-1", _waiting("CreateContainerConfigError", "couldn't find key k in Secret n/hub"))],
        [],
        [(Trouble.CONFIG, "Pod hub-1", ("find key k", "make the Secret"))],
    ),
    "the image wants root": (
        [
            _pod(
                "hub-1", _waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root")
            )
        ],
        [],
        [(Trouble.CONFIG, "Pod hub-1", ("other than root",))],
    ),
    "a mounted Secret is missing": (
        [_placed()],
        [_event("FailedMount", NO_SECRET)],
        [(Trouble.CONFIG, "Pod hub-1", ('secret "hub" not found', "make the Secret"))],
    ),
    "the command is missing": (
        [_pod("hub-1", _waiting("RunContainerError", NO_FILE))],
        [],
        [(Trouble.CONFIG, "Pod hub-1", ("executable file not found", "container's command"))],
    ),
    "the service account is missing": (
        [],
        [_refused('error looking up service account n/hub: serviceaccount "hub" not found')],
        [(Trouble.CONFIG, "ReplicaSet hub-6d5f", ('serviceaccount "hub" not found', "make the service account"))],
    ),
    "a claim is not bound": (
        [_no_node(UNBOUND, claims=["home"])],
        [],
        [(Trouble.VOLUME, "Pod hub-1", ("pod has unbound immediate", "kubectl describe pvc"))],
    ),
    "a claim is missing": (
        [_no_node('0/1 nodes are available: persistentvolumeclaim "home" not found. not found', claims=["home"])],
        [],
        [(Trouble.VOLUME, "Pod hub-1", ('persistentvolumeclaim "home" not found', "make the claim"))],
    ),
    "no volume fits": (
        [_no_node("0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind.")],
        [],
        [(Trouble.VOLUME, "Pod hub-1", ("persistent volumes to bind",))],
    ),
    "binding took too long": (
        [
            _no_node(
                'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded', "SchedulerError"
            )
        ],
        [],
        [(Trouble.VOLUME, "Pod hub-1", ("binding volumes",))],
    ),
    "the storage class is missing": (
        [_no_node(UNBOUND, claims=["home"])],
        [_claim("ProvisioningFailed", NO_CLASS)],
        [(Trouble.VOLUME, "Pod hub-1", (f"PersistentVolumeClaim home: {NO_CLASS}", "kubectl get storageclass"))],
    ),
    "no class is set": (
        [_no_node(UNBOUND, claims=["home"])],
        [_claim("FailedBinding", "no persistent volumes available for this claim and no storage class is set")],
        [(Trouble.VOLUME, "Pod hub-1", ("claim's storage class",))],
    ),
    "a volume for a chosen node cannot be made": (
        [_pod(claims=["home"])],
        [
            _claim("WaitForFirstConsumer", at=EARLY),
            _claim("ProvisioningFailed", "failed to provision volume: no space"),
            _claim("ExternalProvisioning", ASKED, AFTER_MINUTES, firstTimestamp=AFTER_MINUTES),
        ],
        [(Trouble.VOLUME, "Pod hub-1", ("home: failed to provision volume: no space",))],
    ),
    "the provisioner does not run": (
        [_pod(claims=["home"])],
        [_claim("ExternalProvisioning", ASKED, AFTER_MINUTES, firstTimestamp=EARLY, count=24)],
        [(Trouble.VOLUME, "Pod hub-1", ("csi.example", "look at the provisioner's pods"))],
    ),
    "a volume for one pod alone cannot be made": (
        [_pod(spec={"volumes": [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}]})],
        [_event("ProvisioningFailed", NO_CLASS, "hub-1-scratch", kind="PersistentVolumeClaim")],
        [(Trouble.VOLUME, "Pod hub-1", (f"PersistentVolumeClaim hub-1-scratch: {NO_CLASS}",))],
    ),
    "a volume cannot be mounted": (
        [_placed()],
        [_event("FailedMount", NO_NFS)],
        [(Trouble.VOLUME, "Pod hub-1", ("mount.nfs: timed out", "file server"))],
    ),
    "a volume is attached elsewhere": (
        [_placed()],
        [_event("SuccessfulAttachVolume", at=EARLY), _event("FailedAttachVolume", MULTI)],
        [(Trouble.VOLUME, "Pod hub-1", ("Multi-Attach error", "end the pod that has the volume"))],
    ),
    "a volume cannot be mounted again after the node was restarted": (
        [_placed(_waiting("ContainerCreating", restartCount=1, lastState=_ended(255, "Unknown")))],
        [_event("Started", at=EARLY), _event("FailedMount", NO_NFS)],
        [(Trouble.VOLUME, "Pod hub-1", ("mount.nfs",))],
    ),
    "no node has the CPU": (
        [_no_node(NO_CPU)],
        [],
        [(Trouble.SCHEDULING, "Pod hub-1", ("2 Insufficient cpu.", "add a node"))],
    ),
    "no node has the CPU where the volume is": (
        [_no_node("2 Insufficient cpu, 1 node(s) didn't match PersistentVolume's node affinity.", claims=["home"])],
        [_claim("ProvisioningFailed", "an old failure, long overcome")],
        [(Trouble.SCHEDULING, "Pod hub-1", ("Insufficient cpu", "add a node"))],
    ),
    "no node is tolerated": (
        [_no_node("0/1 nodes are available: 1 node(s) had untolerated taint {gpu: yes}.")],
        [],
        [(Trouble.SCHEDULING, "Pod hub-1", ("taint {gpu: yes}", "tolerate the taint"))],
    ),
    "no node is well": (
        [_no_node("0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.")],
        [],
        [(Trouble.SCHEDULING, "Pod hub-1", ("kubectl get nodes",))],
    ),
    "no node fits the selector": (
        [_no_node("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")],
        [],
        [(Trouble.SCHEDULING, "Pod hub-1", ("label a node",))],
    ),
    "the autoscaler cannot add a node": (
        [_no_node(NO_CPU)],
        [
            _event("TriggeredScaleUp", at=EARLY),
            _event("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached"),
        ],
        [(Trouble.SCHEDULING, "Pod hub-1", ("Insufficient cpu", "max node group size reached"))],
    ),
    "a quota is used up": (
        [],
        [_refused(QUOTA)],
        [(Trouble.QUOTA, "ReplicaSet hub-6d5f", ("exceeded quota: team", "ResourceQuota"))],
    ),
    "a quota asks for limits": (
        [],
        [_refused("failed quota: team: must specify limits.cpu for: hub")],
        [(Trouble.QUOTA, "ReplicaSet hub-6d5f", ("must specify limits.cpu", "LimitRange"))],
    ),
    "a limit range forbids it": (
        [],
        [_refused("maximum memory usage per Container is 512Mi, but limit is 1Gi", kind="StatefulSet")],
        [(Trouble.QUOTA, "StatefulSet hub-6d5f", ("maximum memory usage", "LimitRange"))],
    ),
    "pod security forbids it": (
        [],
        [_refused('violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false')],
        [(Trouble.QUOTA, "ReplicaSet hub-6d5f", ("violates PodSecurity", "securityContext"))],
    ),
    "a webhook is down": (
        [],
        [
            _event(
                "FailedCreate",
                'Error creating: Internal error occurred: failed calling webhook "a.b"',
                "hub-6d5f",
                kind="ReplicaSet",
            )
        ],
        [(Trouble.QUOTA, "ReplicaSet hub-6d5f", ("failed calling webhook", "webhook's service"))],
    ),
    "a second pod is one too many": (
        [_owned(EARLY, status={"conditions": [{"type": "Ready", "status": "True"}]})],
        [_refused(QUOTA)],
        [(Trouble.QUOTA, "ReplicaSet hub-6d5f", ("exceeded quota",))],
    ),
    "the node has no network": (
        [_placed()],
        [_event("FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: plugin type=cni failed")],
        [(Trouble.NODE, "Pod hub-1", ("plugin type=cni failed", "network plugin"))],
    ),
    "the node was short of memory": (
        [_pod(status={"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory. "})],
        [],
        [(Trouble.EVICTED, "Pod hub-1", ("Evicted: The node was low on resource: memory.", "free what is named"))],
    ),
    "one pod after the other is refused by its node": (
        [_owned(at, f"hub-{at}", status={"phase": "Failed", "reason": "OutOfcpu"}) for at in (EARLY, LATE)],
        [],
        [(Trouble.EVICTED, f"Pod hub-{LATE}", ("OutOfcpu", "has room"))],
    ),
    "two pods have different troubles": (
        [_pod("hub-1", CRASH), _pod("proxy-1", _waiting("ErrImagePull", NOT_FOUND))],
        [],
        [(Trouble.CRASH, "Pod hub-1", ("exit code 1",)), (Trouble.IMAGE, "Pod proxy-1", ("not found",))],
    ),
    "two containers of a pod crash": (
        [_pod("hub-1", CRASH, {**CRASH, "name": "side"})],
        [],
        [(Trouble.CRASH, "Pod hub-1", ("container hub",)), (Trouble.CRASH, "Pod hub-1", ("container side",))],
    ),
    "a pod fails and another cannot be made": (
        [_pod("proxy-1", CRASH)],
        [_refused(QUOTA)],
        [(Trouble.CRASH, "Pod proxy-1", ()), (Trouble.QUOTA, "ReplicaSet hub-6d5f", ())],
    ),
}

NO_TROUBLES: dict[str, tuple[list[Body], list[Body]]] = {
    "nothing is there": ([], []),
    "it is new": ([_pod()], []),
    "its container is being made": ([_placed()], [_event("Scheduled")]),
    "its image is being pulled": ([_placed()], [_event("Pulling", f'Pulling image "{IMAGE}"')]),
    "its init containers run": ([_pod("hub-1", _waiting("PodInitializing"))], []),
    "it runs, and is not ready yet": ([_pod("hub-1", _running({}, 0))], []),
    "its probe fails": (
        [_pod("hub-1", _running({}, 0))],
        [_event("Unhealthy", "Readiness probe failed: connection refused")],
    ),
    "it is ready, after a crash": (
        [_pod("hub-1", _running(_ended(1), ready=True), status={"conditions": [{"type": "Ready", "status": "True"}]})],
        [_event("FailedMount", NO_NFS)],
    ),
    "it is being deleted": ([_pod("hub-1", CRASH, meta={"deletionTimestamp": LATE})], []),
    "it succeeded": ([_pod("hub-1", CRASH, status={"phase": "Succeeded"})], []),
    "it crashed long ago": ([_pod("hub-1", _running(_ended(1, at=BEFORE)))], []),
    "its node was restarted": ([_pod("hub-1", _running(_ended(255, "Unknown")))], []),
    "its container is done": (
        [_pod("hub-1", {"name": "hub", "ready": False, "state": _ended(0)}, spec={"restartPolicy": "OnFailure"})],
        [],
    ),
    "its init container failed once, and is done": (
        [_init({"name": "hub", "ready": True, "restartCount": 1, "state": _ended(0), "lastState": _ended(1)})],
        [],
    ),
    "its init container is done once more, as its node was restarted": ([_init(_running(_ended(0)))], []),
    "one container crashed and is ready, another is not yet": (
        [_pod("hub-1", _running(_ended(1), ready=True), _running({}, 0, name="side"))],
        [],
    ),
    "a cache is not filled yet": (
        [_placed(_waiting("CreateContainerConfigError", "failed to sync secret cache: timed out waiting"))],
        [_event("FailedMount", 'MountVolume.SetUp failed for volume "x" : object "n"/"hub" not registered')],
    ),
    "too many images are pulled at once": ([_pod("hub-1", _waiting("ErrImagePull", "pull QPS exceeded"))], []),
    "the start failed once, and it runs": (
        [_pod("hub-1", _running(_ended(128, "StartError", BEFORE, message=NO_FILE)))],
        [],
    ),
    "a claim waits for its pod": (
        [_pod(claims=["home"])],
        [_claim("WaitForFirstConsumer", at=EARLY), _claim("Provisioning"), _claim("ExternalProvisioning", ASKED)],
    ),
    "a volume is being made": (
        [_no_node(UNBOUND, claims=["home"])],
        [_claim("ExternalProvisioning", ASKED, firstTimestamp=EARLY), _claim("Provisioning")],
    ),
    "a volume was made at last": (
        [_pod(claims=["home"])],
        [_claim("ProvisioningFailed", NO_CLASS, EARLY), _claim("ProvisioningSucceeded")],
    ),
    "a volume was made at last, and the pod has a node": (
        [_placed(claims=["home"]), _pod(claims=["home"], spec={"nodeName": "node-1"})],
        [_claim("ProvisioningFailed", NO_CLASS)],
    ),
    "a claim was bound at last": (
        [_pod(claims=["home"])],
        [_claim("FailedBinding", "no persistent volumes available")],
    ),
    "a claim of another pod has trouble": ([_pod(claims=["other"])], [_claim("ProvisioningFailed", NO_CLASS)]),
    "a volume for one pod alone is on its way": (
        [_no_node('waiting for ephemeral volume controller to create the persistentvolumeclaim "hub-1-scratch"')],
        [],
    ),
    "the volume was mounted at last": ([_placed()], [_event("FailedMount", NO_NFS, at=EARLY), _event("Pulling")]),
    "the volume was attached at last": (
        [_placed()],
        [_event("FailedAttachVolume", MULTI, at=EARLY), _event("SuccessfulAttachVolume")],
    ),
    "the sandbox was made at last": (
        [_pod("hub-1", CREATING, conditions=[("PodReadyToStartContainers", "True", {})])],
        [_event("FailedCreatePodSandBox", "cni")],
    ),
    "mounting failed before another container ran": (
        [_placed(_running({}, 0))],
        [_event("FailedMount", NO_NFS)],
    ),
    "mounting failed long ago": ([_placed()], [_event("FailedMount", NO_NFS, at=BEFORE)]),
    "mounting failed for an earlier pod of this name": ([_placed()], [_event("FailedMount", NO_NFS, uid="uid-old")]),
    "an event has no time": ([_placed()], [{**_event("FailedMount", NO_NFS), "lastTimestamp": None}]),
    "a node is coming": ([_no_node(NO_CPU)], [_event("NotTriggerScaleUp", at=EARLY), _event("TriggeredScaleUp")]),
    "Karpenter makes a node": ([_no_node(NO_CPU)], [_event("Nominated", "Pod should schedule on: nodeclaim/a")]),
    "it is gated": ([_no_node("Scheduling is blocked due to non-empty scheduling gates", "SchedulingGated")], []),
    "a quota was used up long ago": ([], [_refused(QUOTA, BEFORE)]),
    "a quota was used up, until its pod was made": ([_owned(LATE)], [_refused(QUOTA, EARLY)]),
    "a quota was used up, until its owner made a pod": (
        [],
        [_refused(QUOTA, EARLY), _event("SuccessfulCreate", "Created pod: hub-2", "hub-6d5f", kind="ReplicaSet")],
    ),
    "a quota is not counted yet": ([], [_refused("status unknown for quota: team, resources: limits.cpu")]),
    "a pod could not be made for a moment": (
        [],
        [_event("FailedCreate", "Error creating: etcdserver: leader changed", "hub-6d5f", kind="ReplicaSet")],
    ),
    "an evicted pod is replaced": (
        [
            _owned(EARLY, status={"phase": "Failed", "reason": "Evicted", "message": "low on resource: memory"}),
            _owned(LATE, "hub-3"),
        ],
        [],
    ),
}


@pytest.mark.parametrize(("pods", "events", "expected"), TROUBLES.values(), ids=TROUBLES.keys())
def test_trouble_is_told_with_its_cause_and_what_to_do(
    pods: list[Body], events: list[Body], expected: Expected
) -> None:
    found = diagnose(pods, events, SINCE)
    assert [(one.trouble, one.what) for one in found] == [(trouble, what) for trouble, what, _ in expected]
    for one, (_, _, parts) in zip(found, expected, strict=True):
        assert [part for part in parts if part not in f"{one.cause}\n{one.remedy}"] == []
        assert (one.container is not None) == (one.trouble is Trouble.CRASH)
        assert "token=" not in one.cause
        assert "preemption" not in one.cause


@pytest.mark.parametrize(("pods", "events"), NO_TROUBLES.values(), ids=NO_TROUBLES.keys())
def test_a_pod_on_its_way_gives_nothing(pods: list[Body], events: list[Body]) -> None:
    assert diagnose(pods, events, SINCE) == ()


def test_each_trouble_is_among_the_situations() -> None:
    assert {trouble for _, _, expected in TROUBLES.values() for trouble, _, _ in expected} == set(Trouble)


@pytest.mark.parametrize(
    ("last", "trouble"),
    [
        (_ended(1), Trouble.CRASH),
        (_ended(137, "OOMKilled"), Trouble.CRASH),
        (_ended(0, "Completed"), Trouble.CRASH),
    ],
)
def test_a_crash_loop_is_told_with_the_same_words_all_along(last: Body, trouble: Trouble) -> None:
    rounds = [
        _waiting("CrashLoopBackOff", "back-off 10s", restartCount=1, lastState=last),
        _running(last, 2),
        {**_running(last, 2), "state": last},
        _waiting("CrashLoopBackOff", "back-off 20s", restartCount=2, lastState=last),
        _waiting("PodInitializing", restartCount=2, lastState=last),
    ]
    found = {diagnose([_pod("hub-1", one)], [], SINCE) for one in rounds}
    assert [[one.trouble for one in each] for each in found] == [[trouble]]


def test_a_command_that_is_missing_is_no_crash_while_it_is_tried_again() -> None:
    last = _ended(128, "StartError", message=NO_FILE)
    rounds = [
        _waiting("RunContainerError", NO_FILE, lastState=last),
        {**_waiting(""), "state": last},
        _waiting("CrashLoopBackOff", "back-off 10s", restartCount=1, lastState=last),
    ]
    found = {diagnose([_pod("hub-1", one)], [], SINCE) for one in rounds}
    assert [[one.trouble for one in each] for each in found] == [[Trouble.CONFIG]]


def test_a_pull_that_is_tried_again_is_told_with_the_same_words() -> None:
    rounds = [
        _waiting("ErrImagePull", NOT_FOUND),
        _waiting("ImagePullBackOff", f"{PULL_HELD}: ErrImagePull: {NOT_FOUND}"),
        _waiting("ImagePullBackOff", PULL_HELD),
    ]
    events = [_event("Failed", f'Failed to pull image "{IMAGE}": {NOT_FOUND}')]
    assert len({diagnose([_pod("hub-1", one)], events, SINCE) for one in rounds}) == 1


def test_a_pod_that_is_asked_for_again_is_refused_with_the_same_words() -> None:
    again = {**_refused(QUOTA), "message": f'(combined) Error creating: pods "hub-6d5f-other" is forbidden: {QUOTA}'}
    assert diagnose([], [_refused(QUOTA)], SINCE) == diagnose([], [again], SINCE)


@pytest.mark.parametrize(
    "when",
    [
        {"lastTimestamp": LATE},
        {"lastTimestamp": None, "eventTime": "2026-03-01T12:01:00.123456Z"},
        {"lastTimestamp": None, "eventTime": BEFORE, "series": {"count": 2, "lastObservedTime": LATE}},
        {"lastTimestamp": None, "firstTimestamp": LATE},
    ],
)
def test_an_event_tells_its_time_in_several_ways(when: Body) -> None:
    assert diagnose([_placed()], [{**_event("FailedMount", NO_NFS), **when}], SINCE)


def test_the_newest_failure_is_told_whatever_the_order() -> None:
    events = [_event("FailedMount", NO_NFS), _event("FailedMount", NO_SECRET, at=EARLY)]
    assert diagnose([_placed()], events, SINCE) == diagnose([_placed()], events[::-1], SINCE)
    assert diagnose([_placed()], events, SINCE)[0].trouble is Trouble.VOLUME


def test_a_long_answer_loses_its_middle() -> None:
    found = diagnose([_pod("hub-1", _waiting("ErrImagePull", "<p> " * 1000 + "404 not found"))], [], SINCE)
    assert len(found[0].cause) <= CAUSE_HEAD + CAUSE_TAIL + 3
    assert found[0].cause.startswith(IMAGE)
    assert found[0].cause.endswith("404 not found")


def test_the_last_lines_of_a_log_become_part_of_the_cause() -> None:
    (found,) = diagnose([_pod("hub-1", CRASH)], [], SINCE)
    told = found.with_log("\n".join(f"line {number}" for number in range(30)) + "\n\n").cause.splitlines()
    assert told == [f"{found.cause}; its last lines:", *(f"line {number}" for number in range(30 - LOG_LINES, 30))]
    assert found.with_log("\n \n") == found
    assert max(map(len, found.with_log("x" * 10_000).cause.splitlines())) < 300


_TEXTS = st.none() | st.sampled_from([
    "", "ErrImagePull", "ImagePullBackOff", "CrashLoopBackOff", "PostStartHookError", "CreateContainerError",
    "StartError", "Unknown", "Unschedulable", "FailedMount", "FailedAttachVolume", "FailedCreate", "Failed",
    "ProvisioningFailed", "ExternalProvisioning", "NotTriggerScaleUp", "Evicted", UNBOUND, NO_CPU, QUOTA, "hub", "home",
])  # fmt: skip
_TIMES = st.none() | st.sampled_from([BEFORE, EARLY, LATE])


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object with any of these fields, or none."""
    return st.none() | st.fixed_dictionaries({}, optional=fields)


def _filled(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional=fields)


_STATES = _some(
    waiting=_some(reason=_TEXTS, message=_TEXTS),
    running=_some(startedAt=_TIMES),
    terminated=_some(
        exitCode=st.sampled_from([0, 1, 137]), reason=_TEXTS, message=_TEXTS, startedAt=_TIMES, finishedAt=_TIMES
    ),
)
_STATUSES = st.none() | st.lists(
    _filled(
        name=_TEXTS, image=_TEXTS, ready=st.booleans(), restartCount=st.integers(0, 3), state=_STATES, lastState=_STATES
    ),
    max_size=2,
)
_SPECS = st.none() | st.lists(_filled(name=_TEXTS, image=_TEXTS, restartPolicy=_TEXTS), max_size=2)
_PODS = _filled(
    metadata=_some(
        name=_TEXTS,
        uid=_TEXTS,
        creationTimestamp=_TIMES,
        deletionTimestamp=_TIMES,
        ownerReferences=st.none() | st.lists(_filled(uid=_TEXTS, controller=st.booleans()), max_size=1),
    ),
    spec=_some(
        containers=_SPECS,
        initContainers=_SPECS,
        nodeName=_TEXTS,
        restartPolicy=_TEXTS,
        volumes=st.none()
        | st.lists(_filled(name=_TEXTS, persistentVolumeClaim=_some(claimName=_TEXTS), ephemeral=_some()), max_size=2),
    ),
    status=_some(
        phase=st.sampled_from([None, "Pending", "Running", "Failed", "Unknown"]),
        reason=_TEXTS,
        message=_TEXTS,
        containerStatuses=_STATUSES,
        initContainerStatuses=_STATUSES,
        conditions=st.none()
        | st.lists(
            _filled(
                type=st.sampled_from(["PodScheduled", "Ready", "PodReadyToStartContainers"]),
                status=st.sampled_from(["True", "False"]),
                reason=_TEXTS,
                message=_TEXTS,
            ),
            max_size=2,
        ),
    ),
)
_EVENTS = _filled(
    involvedObject=_some(
        kind=st.sampled_from(["Pod", "ReplicaSet", "PersistentVolumeClaim"]), name=_TEXTS, uid=_TEXTS, fieldPath=_TEXTS
    ),
    reason=_TEXTS,
    message=_TEXTS,
    firstTimestamp=_TIMES,
    lastTimestamp=_TIMES,
    eventTime=_TIMES,
    series=_some(lastObservedTime=_TIMES),
)


@given(st.lists(_PODS, max_size=2), st.lists(_EVENTS, max_size=4))
def test_whatever_is_missing_nothing_breaks(pods: list[Body], events: list[Body]) -> None:
    found = diagnose(pods, events, SINCE)
    assert all(isinstance(one, Diagnosis) and one.cause and one.remedy for one in found)
