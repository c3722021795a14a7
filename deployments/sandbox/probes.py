"""How to tell whether a part of the sandbox serves. A probe asks once and answers at once."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import httpx

from deployments.sandbox.addresses import NAME
from tasks.core.errors import HubError
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import NODE
from tasks.core.process import run

Probe = Callable[[], str]
"""Returns why the part does not serve yet; nothing when it does."""

USER_AGENT = "hubwright-sandbox"
PROBE_SECONDS = 3.0
POLL_SECONDS = 0.1


def http_probe(url: str, ca: Path | None = None) -> Probe:
    """The address answers with a success; over TLS, with a certificate of our CA."""

    def probe() -> str:
        try:
            verify = ssl.create_default_context(cafile=ca) if ca else True
            answer = httpx.get(url, verify=verify, timeout=PROBE_SECONDS, trust_env=False)
        except (httpx.HTTPError, OSError) as error:
            return f"{url}: {error}"
        return "" if answer.is_success else f"{url}: {answer.status_code} {' '.join(answer.text.split())[-200:]}"

    return probe


def command_probe(*argv: str | Path) -> Probe:
    """The command succeeds."""

    def probe() -> str:
        try:
            run(argv, timeout=PROBE_SECONDS, remedy="")
        except HubError as error:
            return error.answered
        return ""

    return probe


def log_probe(log: Path, begins: str, serves: str) -> Probe:
    """The log says ``serves``, and later than the last ``begins``. For what has no address of its own."""

    def probe() -> str:
        files = (log.with_name(f"{log.name}.1"), log)
        text = "".join(file.read_text(errors="replace") for file in files if file.exists())
        if files[0].exists() and begins not in text:
            return ""  # it began so long ago that the log of it was rotated away
        return "" if serves in text.rpartition(begins)[2] else f"{log} does not say “{serves}” yet"

    return probe


def node_probe(kubeconfig: Path, *also: Probe) -> Probe:
    """The node is Ready, and what else is asked of it holds."""

    def probe() -> str:
        for other in also:
            if reason := other():
                return reason
        try:
            node = connect(kubeconfig).read(NODE, NAME, None)
        except HubError as error:
            return error.answered
        conditions = (node or {}).get("status", {}).get("conditions", ())
        ready = [condition for condition in conditions if condition["type"] == "Ready"]
        if not ready:
            return "the node has not registered"
        return "" if ready[0]["status"] == "True" else f"the node is not ready: {ready[0].get('message', '')}"

    return probe


def connect(kubeconfig: Path) -> Kubernetes:
    """The sandbox's cluster, as its administrator."""
    return Kubernetes.connect(kubeconfig=kubeconfig, user_agent=USER_AGENT)
