"""Why pods cannot start: read from what Kubernetes says of them, with what to do about it.

Reasons and messages are those of Kubernetes 1.34 (the files that are named are of k8s.io/kubernetes v1.34.4)
and of containerd 2. A pod that is merely on its way gives nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from tasks.core.objects import Body
from tasks.core.remedies import Trouble, remedy_for

CAUSE_HEAD, CAUSE_TAIL = 400, 190
LOG_LINES, LOG_CHARACTERS = 10, 200
SLOW_PROVISIONING = timedelta(minutes=3)
"""Provisioners of file shares take minutes; one that does not run takes for ever."""


@dataclass(frozen=True)
class Diagnosis:
    """One trouble: of which object, what Kubernetes says, and what to do. ``container`` is set for CRASH."""

    trouble: Trouble
    what: str
    cause: str
    remedy: str
    container: str | None = None

    def with_log(self, lines: str) -> Diagnosis:
        """The same, with the last lines of the container's log in its cause."""
        last = [line.rstrip()[:LOG_CHARACTERS] for line in lines.splitlines() if line.strip()][-LOG_LINES:]
        return replace(self, cause="\n".join([f"{self.cause}; its last lines:", *last])) if last else self


def diagnose(pods: Sequence[Body], events: Sequence[Body], since: datetime) -> tuple[Diagnosis, ...]:
    """What keeps these pods, and those that could not even be made, from starting; nothing when all is on its way.

    ``events`` are those of the pods' namespace; an owner that cannot make its pod is told whatever its labels, since
    events have none. Events live for an hour (``--event-ttl``), so only what was
    said at ``since`` or later is believed; the clocks are the cluster's. An end of a container before ``since``
    is no crash either, unless Kubernetes holds its restart back now.
    """
    believed = sorted((event for event in events if event_time(event) >= since), key=event_time)
    found = [one for pod in pods if _is_stuck(pod, pods) for one in _of_pod(pod, believed, since)]
    found += _of_pods_not_made(pods, believed)
    return tuple(dict.fromkeys(found))


# A pod as a whole.


def _is_stuck(pod: Body, pods: Sequence[Body]) -> bool:
    """Whether a pod should start and has not. A failed one that its owner has replaced is only a leftover."""
    meta, phase = pod.get("metadata") or {}, _status(pod).get("phase")
    if meta.get("deletionTimestamp") or phase == "Succeeded" or _condition(pod, "Ready").get("status") == "True":
        return False
    owner = _owner(pod)
    return phase != "Failed" or not any(owner and _owner(one) == owner and _made(one) > _made(pod) for one in pods)


def _of_pod(pod: Body, events: Sequence[Body], since: datetime) -> Sequence[Diagnosis]:
    """What is wrong with a pod: the first step on its way that fails, so one that was passed is not told."""
    own, status = [event for event in events if _is_about(event, pod)], _status(pod)
    if status.get("phase") == "Failed" and status.get("reason"):
        return [_found(Trouble.EVICTED, _what(pod), f"{status['reason']}: {status.get('message') or ''}")]
    found = [one for container in _containers(pod) if (one := _of_container(container, own, since))]
    if not found and (one := _unscheduled(pod, own, events) or _held_up(pod, own)):
        return [one]
    return found


# Its containers.

_IMAGE_REASONS = {
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
    "RegistryUnavailable", "SignatureValidationFailed",
}  # fmt: skip
"""pkg/kubelet/images/types.go; the last two are k8s.io/cri-api's, pkg/errors/errors.go."""

_CONFIG_REASONS = {
    "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
    "PreCreateHookError", "PreStartHookError",
}  # fmt: skip
"""pkg/kubelet/kuberuntime/kuberuntime_container.go and pkg/kubelet/container/sync_result.go."""

_CRASH_REASONS = {"CrashLoopBackOff", "PostStartHookError"}
_NEVER_STARTED = {"StartError", "ContainerCannotRun"}
"""How containerd (internal/cri/server/helpers.go) and cri-dockerd end a container whose command cannot be run."""

_LOST = {"Unknown", "ContainerStatusUnknown"}
"""The runtime (containerd, same file) or the kubelet (pkg/kubelet/container/runtime.go) lost sight of it: no crash.
It is so after each restart of a node."""

_MOMENTARY = re.compile(r"failed to sync \S+ cache|not registered$|pull QPS exceeded|status unknown for quota")
"""The kubelet's or the API server's own caches are not filled yet, or its own limit is reached; it tries again."""

_PULL = re.compile(
    r'^(?:Back-off pulling|Failed to pull) image "[^"]*"(?:: )?'
    r"(?:(?:ErrImagePull|RegistryUnavailable|SignatureValidationFailed): )?"
)
"""What the kubelet puts before the registry's answer (pkg/kubelet/images/image_manager.go). It keeps the answer
in memory: where it was started anew, or is older, the pod has none, and only the event of the last pull tells."""


@dataclass(frozen=True)
class _Container:
    """One container of a pod: as it is asked for, and as it is."""

    pod: Body
    spec: Body
    status: Body
    init: bool

    @property
    def name(self) -> str:
        return str(self.status.get("name") or "")

    @property
    def state(self) -> Body:
        return self.status.get("state") or {}

    @property
    def waiting(self) -> Body:
        return self.state.get("waiting") or {}

    @property
    def ended(self) -> Body:
        """How it ended last: the same while it waits, runs again and has just ended again."""
        return self.state.get("terminated") or (self.status.get("lastState") or {}).get("terminated") or {}

    @property
    def should_stay(self) -> bool:
        """Whether even an exit code of 0 is wrong."""
        policy = (self.pod.get("spec") or {}).get("restartPolicy") or "Always"
        return self.spec.get("restartPolicy") == "Always" or (policy == "Always" and not self.init)

    def says(self, events: Sequence[Body], reasons: set[str]) -> Iterator[str]:
        """Messages of this container's events, newest first."""
        for event in reversed(events):
            if event.get("reason") in reasons and f"{{{self.name}}}" in (_ref(event).get("fieldPath") or ""):
                yield str(event.get("message") or "")


def _containers(pod: Body) -> Iterator[_Container]:
    spec, status = pod.get("spec") or {}, _status(pod)
    for asked, seen in (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")):
        specs = {one.get("name"): one for one in spec.get(asked) or ()}
        for one in status.get(seen) or ():
            yield _Container(pod, specs.get(one.get("name")) or {}, one, asked == "initContainers")


def _of_container(one: _Container, events: Sequence[Body], since: datetime) -> Diagnosis | None:
    if one.status.get("ready"):
        return None
    message = str(one.waiting.get("message") or "")
    reason = "" if _MOMENTARY.search(message) else one.waiting.get("reason")
    if reason in _IMAGE_REASONS:
        return _found(Trouble.IMAGE, _what(one.pod), _image_cause(one, events))
    if reason in _CONFIG_REASONS:
        return _found(Trouble.CONFIG, _what(one.pod), f"container {one.name}: {message or reason}")
    if one.ended.get("reason") in _NEVER_STARTED and not one.state.get("running"):
        said = one.ended.get("message") or one.ended["reason"]
        return _found(Trouble.CONFIG, _what(one.pod), f"container {one.name}: {said}")
    if reason in _CRASH_REASONS or _ended_badly(one, since):
        return _found(Trouble.CRASH, _what(one.pod), _crash_cause(one, events), one.name)
    return None


def _image_cause(one: _Container, events: Sequence[Body]) -> str:
    told = one.says(events, {"Failed", "InspectFailed", "ErrImageNeverPull"})
    answers = [str(one.waiting.get("message") or ""), *(text for text in told if not text.startswith("Error: "))]
    answer = next((text for text in (_PULL.sub("", text) for text in answers) if text), one.waiting["reason"])
    return f"{one.spec.get('image') or one.status.get('image') or one.name}: {answer}"


def _ended_badly(one: _Container, since: datetime) -> bool:
    """Whether it ended as it should not, and that is why it is not ready now."""
    if not one.ended or one.ended.get("reason") in _LOST or _moment(one.ended.get("finishedAt"), since) < since:
        return False
    if one.ended.get("exitCode"):
        return bool(one.state.get("terminated") or one.status.get("restartCount"))
    return one.should_stay and bool(one.status.get("restartCount"))


def _crash_cause(one: _Container, events: Sequence[Body]) -> str:
    """The number of restarts is left out: the same crash gives the same words each time."""
    ended, reason = one.ended, one.ended.get("reason") or ""
    if reason == "OOMKilled":
        limit = ((one.spec.get("resources") or {}).get("limits") or {}).get("memory") or "its node has"
        return f"container {one.name} was killed (OOMKilled): it needs more memory than {limit}"
    # What a hook printed is not shown: the kubelet keeps it out of its events too, as it may hold secrets.
    if one.waiting.get("reason") == "PostStartHookError" or any(one.says(events, {"FailedPostStartHook"})):
        return f"container {one.name}: its postStart hook failed"
    if not ended:
        return f"container {one.name}: {one.waiting.get('message') or one.waiting.get('reason')}"
    more = f" ({reason})" if reason not in ("", "Error", "Completed") else ""
    said = f": {ended['message']}" if ended.get("message") else ""
    return f"container {one.name} ended with exit code {ended.get('exitCode', 0)}{more}{said}"


# Its place and its volumes.

_VOLUME_WORDS = re.compile(
    r"persistent ?volume|non-existent pv|binding volumes|free storage|max volume count|available disk"
    r"|volume zone|volume node affinity",
    re.IGNORECASE,
)
"""How the scheduler says that a volume is in the way: pkg/scheduler/framework/plugins/{volumebinding,volumezone,
volumerestrictions,nodevolumelimits}; the last words are those of earlier releases."""

_PROVISIONING = {"Provisioning", "ExternalProvisioning"}
"""The provisioner's own event, and that of the volume controller which waits for it (pkg/controller/volume/events/
event.go). Both are normal, and so is ``WaitForFirstConsumer`` before them."""

_MISSING = re.compile(r'(?:secret|configmap)s? "[^"]+" not found|references non-existent (?:secret|config) key')
_MOUNT_REASONS = {"FailedMount", "FailedAttachVolume", "FailedMapVolume"}
_NODE_REASONS = {"FailedCreatePodSandBox", "NetworkNotReady"}
_LATER_REASONS = {"Pulling", "Pulled", "Created", "Started"}
"""pkg/kubelet/events/event.go: volumes come first, then the sandbox with its network, then each container's image."""


def _unscheduled(pod: Body, own: Sequence[Body], events: Sequence[Body]) -> Diagnosis | None:
    """Why no node takes a pod.

    None while a node is coming: ``TriggeredScaleUp`` is the cluster autoscaler's event
    (cluster-autoscaler/processors/status/eventing_scale_up_processor.go), ``Nominated`` is Karpenter's.
    """
    condition = _condition(pod, "PodScheduled")
    if condition.get("status") == "True" or (pod.get("spec") or {}).get("nodeName"):
        return None
    # What follows is about pods that could be put off; it never helps to know.
    message = str(condition.get("message") or "").partition(" preemption: ")[0]
    if not message or (_VOLUME_WORDS.search(message) and "Insufficient" not in message):
        return _unbound(pod, message, events)
    scaling = [event for event in own if event.get("reason") in ("TriggeredScaleUp", "NotTriggerScaleUp", "Nominated")]
    refused = bool(scaling) and scaling[-1].get("reason") == "NotTriggerScaleUp"
    if condition.get("reason") != "Unschedulable" or (scaling and not refused):
        return None
    more = f" {scaling[-1].get('message') or ''}" if refused else ""
    return _found(Trouble.SCHEDULING, _what(pod), message + more)


def _unbound(pod: Body, message: str, events: Sequence[Body]) -> Diagnosis | None:
    """Which volume is in the way of a pod that has no node yet; ``message`` is the scheduler's, if it said anything."""
    failures = {"ProvisioningFailed", "FailedBinding"} if message else {"ProvisioningFailed"}
    newest: dict[str, Body] = {}
    for event in events:
        name, reason = str(_ref(event).get("name")), event.get("reason")
        if _ref(event).get("kind") != "PersistentVolumeClaim" or name not in _claims(pod):
            continue
        if reason == "ProvisioningSucceeded":
            newest.pop(name, None)
        elif reason in failures or (reason in _PROVISIONING and newest.get(name, {}).get("reason") not in failures):
            newest[name] = event
    for name, event in newest.items():
        if event.get("reason") in failures or _lasts(event) >= SLOW_PROVISIONING:
            cause = f"PersistentVolumeClaim {name}: {event.get('message') or event['reason']}"
            return _found(Trouble.VOLUME, _what(pod), cause)
    if not message or "waiting for ephemeral" in message or (newest and "unbound immediate" in message):
        return None
    return _found(Trouble.VOLUME, _what(pod), message)


def _held_up(pod: Body, own: Sequence[Body]) -> Diagnosis | None:
    """Why the node does not get as far as the containers; None as soon as it got further than the last failure."""
    failed = [event for event in own if event.get("reason") in _MOUNT_REASONS | _NODE_REASONS]
    failed = [event for event in failed if not _MOMENTARY.search(str(event.get("message") or ""))]
    if not failed or _condition(pod, "PodReadyToStartContainers").get("status") == "True":
        return None
    last, reason = failed[-1], failed[-1]["reason"]
    # That condition is only written when the first containers were started, which a long pull puts off.
    later = _LATER_REASONS | ({"SuccessfulAttachVolume"} if reason == "FailedAttachVolume" else set())
    if any(event.get("reason") in later and event_time(event) >= event_time(last) for event in own):
        return None
    if any(one.state.get("running") for one in _containers(pod)):
        return None
    message = str(last.get("message") or reason)
    mount = Trouble.CONFIG if _MISSING.search(message) else Trouble.VOLUME
    return _found(Trouble.NODE if reason in _NODE_REASONS else mount, _what(pod), message)


def _claims(pod: Body) -> set[str]:
    """Names of the claims that a pod mounts."""
    volumes: Sequence[Body] = (pod.get("spec") or {}).get("volumes") or ()
    named = {str((one.get("persistentVolumeClaim") or {}).get("claimName")) for one in volumes}
    return named | {f"{_name(pod)}-{one.get('name')}" for one in volumes if one.get("ephemeral")}


# Pods that could not be made.

_REFUSED = re.compile(r"forbidden|denied the request|failed calling webhook")


def _of_pods_not_made(pods: Sequence[Body], events: Sequence[Body]) -> Sequence[Diagnosis]:
    """Why an owner (a ReplicaSet, a StatefulSet) cannot make its pod: there, no pod could tell.

    ``FailedCreate`` (pkg/controller/controller_utils.go) is believed until the owner made one, by its own word or
    by the pod itself.
    """
    newest: dict[tuple[object, ...], Body] = {}
    for event in events:
        if event.get("reason") in ("FailedCreate", "SuccessfulCreate"):
            newest[tuple(_ref(event).get(key) for key in ("kind", "name", "uid"))] = event
    found: list[Diagnosis] = []
    for event in newest.values():
        message, uid = str(event.get("message") or ""), _ref(event).get("uid")
        made = any(uid and _owner(pod) == uid and _made(pod) >= event_time(event) for pod in pods)
        if event["reason"] == "SuccessfulCreate" or made or not _REFUSED.search(message) or _MOMENTARY.search(message):
            continue
        trouble = Trouble.CONFIG if "error looking up service account" in message else Trouble.QUOTA
        # What comes before names a pod that never was, a new name with each attempt.
        cause = message.partition(" is forbidden: ")[2] or message
        found.append(_found(trouble, f"{_ref(event).get('kind')} {_ref(event).get('name')}", cause))
    return found


# What to do.


def _found(trouble: Trouble, what: str, said: str, container: str | None = None) -> Diagnosis:
    text = " ".join(said.split())
    # Messages of runtimes are nested, and their end is what went wrong: so the middle is what can go.
    cause = text if len(text) <= CAUSE_HEAD + CAUSE_TAIL else f"{text[:CAUSE_HEAD]} … {text[-CAUSE_TAIL:]}"
    return Diagnosis(trouble, what, cause, remedy_for(trouble, text), container)


# Fields of pods and events.


_NEVER = datetime.min.replace(tzinfo=UTC)


def _status(pod: Body) -> Body:
    return pod.get("status") or {}


def _name(pod: Body) -> str:
    return str((pod.get("metadata") or {}).get("name") or "")


def _what(pod: Body) -> str:
    return f"Pod {_name(pod)}"


def _made(pod: Body) -> datetime:
    return _moment((pod.get("metadata") or {}).get("creationTimestamp"))


def _owner(pod: Body) -> str:
    """The uid of what made a pod; "" when that is nobody."""
    owners: Sequence[Body] = (pod.get("metadata") or {}).get("ownerReferences") or ()
    return next((str(one.get("uid") or "") for one in owners if one.get("controller")), "")


def _condition(pod: Body, kind: str) -> Body:
    conditions: Sequence[Body] = _status(pod).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == kind), {})


def _ref(event: Body) -> Body:
    return event.get("involvedObject") or {}


def _is_about(event: Body, pod: Body) -> bool:
    """Whether an event is this pod's; another one of the same name may have been there before."""
    ref, uid = _ref(event), (pod.get("metadata") or {}).get("uid")
    if ref.get("kind") != "Pod" or ref.get("name") != _name(pod):
        return False
    return not (uid and ref.get("uid")) or uid == ref["uid"]


def event_time(event: Body) -> datetime:
    """When it was said last: the scheduler's events (events.k8s.io) have no ``lastTimestamp``, but a series."""
    series = event.get("series") or {}
    last = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return _moment(last or event.get("firstTimestamp"))


def _lasts(event: Body) -> timedelta:
    return event_time(event) - _moment(event.get("firstTimestamp") or event.get("eventTime"), event_time(event))


def _moment(text: str | None, missing: datetime = _NEVER) -> datetime:
    return datetime.fromisoformat(text) if text else missing
