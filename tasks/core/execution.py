"""A command in a container that runs (pods/exec), by the websocket client of the Kubernetes library."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from websocket import WebSocketException

from tasks.core.errors import HubError, Permanent, Transient

LAST_LINES = 5
REFUSED = re.compile(r"Handshake status (4\d\d)")


def run_in_pod(
    configuration: client.Configuration, namespace: str, pod: str, container: str, argv: Sequence[str], seconds: float
) -> str:
    """What the command wrote. Raises Permanent with its last words when it failed, Transient when it got no answer."""
    asked = f"run {argv[0]} in Pod {pod}"
    # A client of its own: stream() replaces how that one sends requests while it is at work.
    core = client.CoreV1Api(client.ApiClient(configuration))
    try:
        channel = stream(
            core.connect_get_namespaced_pod_exec, pod, namespace, container=container, command=list(argv),
            stdin=False, stdout=True, stderr=True, tty=False, _preload_content=False, _request_timeout=seconds,
        )  # fmt: skip
        channel.run_forever(timeout=seconds)
    except (ApiException, WebSocketException, OSError) as error:
        raise _refused(asked, str(getattr(error, "reason", "") or error)) from error
    if channel.is_open():
        channel.close()
        raise Transient("Kubernetes", asked, f"did not end within {seconds:g} s", "look at the pod, then run again")
    output, said, code = channel.read_stdout(), channel.read_stderr(), channel.returncode
    if code != 0:
        words = "\n    ".join(said.strip().splitlines()[-LAST_LINES:]) or "no output"
        raise Permanent("Kubernetes", asked, f"exit code {code}: {words}", "read the message, and the pod's log")
    return str(output)


def _refused(asked: str, reason: str) -> HubError:
    reason = reason.split("-+-+-")[0].strip()[:200]
    if REFUSED.search(reason):
        return Permanent("Kubernetes", asked, reason, "give this account get and create on pods/exec; see that it runs")
    return Transient("Kubernetes", asked, reason, "check that the API server reaches the pod's node, then run again")
