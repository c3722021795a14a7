"""What a command needs in its environment to use the sandbox."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from deployments.sandbox.addresses import NODE_IP, PREFECT
from deployments.sandbox.binaries import ensure_binary
from deployments.sandbox.paths import Paths

PREFECT_USER = "hubwright"
OURS = ("KUBECONFIG", "PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "DOCKER_HOST", "PATH", "NO_PROXY", "no_proxy")


def sandbox_environment(paths: Paths) -> dict[str, str]:
    """This process's environment, pointed to the sandbox: its cluster, its Prefect, its Helm first in PATH."""
    helm = ensure_binary("helm", lambda _line: None).parent
    # A company's proxy knows nothing of addresses that exist on this machine only.
    direct = ",".join(filter(None, (os.environ.get("NO_PROXY", ""), NODE_IP)))
    return {
        **os.environ,
        "KUBECONFIG": str(paths.kubeconfig),
        "PREFECT_API_URL": f"{PREFECT}/api",
        "PREFECT_API_AUTH_STRING": prefect_login(paths),
        "DOCKER_HOST": f"unix://{paths.podman_socket}",
        "PATH": os.pathsep.join((str(helm), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
        "NO_PROXY": direct,
        "no_proxy": direct,
    }


def prefect_login(paths: Paths) -> str:
    """What Prefect's API and UI ask for: a user and its password."""
    return f"{PREFECT_USER}:{paths.prefect_password.read_text().strip()}"


def as_shell(environment: dict[str, str]) -> str:
    """Lines that a shell reads with ``.`` to have what differs from its own environment."""
    return "".join(f"export {name}={shlex.quote(environment[name])}\n" for name in OURS)
