"""What the machine must bring, and the Debian packages that the sandbox adds to it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from deployments.sandbox.cache import cache_root
from deployments.sandbox.java import OLDEST_JAVA, newest_java
from deployments.sandbox.paths import Paths
from tasks.core.process import run

DEBIAN_PACKAGES = (
    "busybox-static",
    "catatonit",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "docker-registry",
    "etcd-server",
    "faketime",
    "iproute2",
    "iptables",
    "mmdebstrap",
    "podman",
    "runc",
    "skopeo",
)
SERVICES = ("containerd", "docker-registry", "etcd")
"""What Debian starts with these packages where systemd runs; the sandbox starts its own and needs none of them."""
TOOLS = ("apt-get", "dpkg-query", "go", "make", "mount", "mvn", "npm", "nsenter")
OLDEST_PYTHON = (3, 11)
COLD_BYTES = 15 * 10**9
WARM_BYTES = 3 * 10**9
LONGEST_STATE_PATH = 70
"""Bytes: the kubelet makes sockets some 35 bytes further down, and a socket's path ends at 108."""
INSTALL_SECONDS = 900.0
QUERY_SECONDS = 30.0
REFUSED = 3
"""Exit code for a machine that cannot run the sandbox."""


class Refused(Exception):
    """The machine cannot run the sandbox; nothing was touched. Its text is one sentence for a person."""


def check_machine(paths: Paths) -> None:
    """Raises Refused when something is missing that we do not install ourselves."""
    if os.geteuid() != 0:
        raise Refused("The sandbox needs root, for network namespaces, cgroups and mounts: run it with sudo.")
    if sys.version_info < OLDEST_PYTHON:
        raise Refused(f"The sandbox needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise Refused(f"The sandbox needs these tools, which are not on this machine's PATH: {', '.join(missing)}.")
    java = newest_java()
    if java is None or java.version < OLDEST_JAVA:
        found = f"the newest here is {java.version}" if java else "this machine has none"
        raise Refused(f"The sandbox needs Java {OLDEST_JAVA} or newer for Keycloak; {found}.")
    if len(os.fsencode(paths.state)) > LONGEST_STATE_PATH or any(sign.isspace() for sign in str(paths.state)):
        raise Refused(f"{paths.state} is too long or has a blank in it: clone to a path of 60 plain bytes at most.")
    _check_disk(paths)


def _check_disk(paths: Paths) -> None:
    needed = WARM_BYTES if (cache_root() / "images").exists() else COLD_BYTES
    for folder in (paths.clone, cache_root()):
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(there).free
        if free < needed:
            raise Refused(
                f"The sandbox needs {needed / 1e9:.0f} GB of free disk, and {there} has {free / 1e9:.1f} GB:"
                " free some, or clone elsewhere and set XDG_CACHE_HOME to a folder on a larger disk."
            )


def ensure_packages(say: Callable[[str], None]) -> None:
    """The Debian packages are installed; those that were stay as they are, and none of their services runs."""
    missing = install(DEBIAN_PACKAGES, say)
    if missing and Path("/run/systemd/system").exists():
        units = [unit for unit in SERVICES if any(package.startswith(unit) for package in missing)]
        if units:
            run(["systemctl", "disable", "--now", *units], timeout=QUERY_SECONDS, remedy="stop them by hand")


def install(packages: Sequence[str], say: Callable[[str], None]) -> list[str]:
    """These Debian packages are installed; returns those that were not."""
    missing = missing_packages(packages, _installed())
    if not missing:
        return []
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    remedy = "see that apt's sources answer and no other apt runs, then `make up` again"
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        argv = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", *words]
        say(" ".join(["apt-get", *words]))
        run(argv, timeout=INSTALL_SECONDS, env=environment, on_line=say, remedy=remedy)
    return missing


def missing_packages(packages: Sequence[str], installed: frozenset[str]) -> list[str]:
    """Which of these packages are not among those installed. Pure."""
    return [package for package in packages if package not in installed]


def _installed() -> frozenset[str]:
    form = "${Package} ${db:Status-Status}\n"
    listed = run(["dpkg-query", "--show", f"--showformat={form}"], timeout=QUERY_SECONDS, remedy="repair dpkg").stdout
    lines = (line.split() for line in listed.splitlines())
    return frozenset(words[0] for words in lines if words[1:] == ["installed"])


if __name__ == "__main__":
    # By the machine's own Python, before anything is installed: this module needs the standard library only.
    try:
        check_machine(Paths())
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(REFUSED)
