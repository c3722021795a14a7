"""The cgroup of the sandbox: its parts in one child, the cluster's pods in another.

Debian 12 has one hierarchy (cgroup v2); machines with a hybrid layout have one for each v1 controller and a
unified one beside them. A process that is killed by its cgroup cannot get away, whatever became of its parent.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from deployments.sandbox.addresses import NAME
from tasks.core.errors import Permanent

ROOT = Path("/sys/fs/cgroup")
PARTS = f"{NAME}/parts"
PODS = f"{NAME}/pods"
CPUSET_FILES = ("cpuset.cpus", "cpuset.mems")
KILL_SECONDS = 20.0
POLL_SECONDS = 0.05


def hierarchies() -> tuple[Path, ...]:
    """The roots of all cgroup hierarchies of this machine."""
    if (ROOT / "cgroup.controllers").exists():
        return (ROOT,)
    return tuple(sorted(folder for folder in ROOT.iterdir() if (folder / "cgroup.procs").exists()))


def unified() -> Path:
    """The root of the v2 hierarchy, which can tell whether a cgroup has processes, and kill them."""
    return ROOT if (ROOT / "cgroup.controllers").exists() else ROOT / "unified"


def ensure_cgroups() -> None:
    """The cgroups for parts and pods exist in every hierarchy, with all that the machine has to give."""
    for root in hierarchies():
        for name in (NAME, PARTS, PODS):
            cgroup = root / name
            cgroup.mkdir(exist_ok=True)
            _fill_cpuset(cgroup)
            if root == unified() and name != PARTS:
                _enable_controllers(cgroup)


def procs_files() -> tuple[Path, ...]:
    """Where a process writes its id to become one of the sandbox's parts."""
    return tuple(root / PARTS / "cgroup.procs" for root in hierarchies())


def has_processes() -> bool:
    """Whether anything in the sandbox's cgroups still runs."""
    events = unified() / NAME / "cgroup.events"
    try:
        return "populated 1" in events.read_text()
    except FileNotFoundError:
        return False


def kill_processes() -> None:
    """No process is left in the sandbox's cgroups."""
    kill = unified() / NAME / "cgroup.kill"
    if not kill.exists():
        return
    kill.write_text("1")
    deadline = time.monotonic() + KILL_SECONDS
    while has_processes():
        if time.monotonic() > deadline:
            raise Permanent(
                "cgroup", f"kill all of {kill.parent}", f"processes are left after {KILL_SECONDS:g} s",
                "see which by `cat` of its cgroup.procs files; one that hangs in the kernel needs a reboot",
            )  # fmt: skip
        time.sleep(POLL_SECONDS)


def delete_cgroups() -> None:
    """No cgroup of the sandbox is there. There must be no process in them."""
    for root in hierarchies():
        for cgroup in _deepest_first(root / NAME):
            cgroup.rmdir()


def _deepest_first(cgroup: Path) -> Iterator[Path]:
    if cgroup.is_dir():
        for child in sorted(cgroup.iterdir()):
            if child.is_dir():
                yield from _deepest_first(child)
        yield cgroup


def _fill_cpuset(cgroup: Path) -> None:
    """A v1 cpuset starts empty, and an empty one takes no process; v2 inherits."""
    if (cgroup / "cgroup.controllers").exists():
        return
    for name in CPUSET_FILES:
        own = cgroup / name
        if own.exists() and not own.read_text().strip():
            own.write_text((cgroup.parent / name).read_text())


def _enable_controllers(cgroup: Path) -> None:
    """Children of a v2 cgroup get the controllers that its parents hand down."""
    for folder in (cgroup.parent, cgroup):
        names = (folder / "cgroup.controllers").read_text().split()
        if names:
            (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in names))
