"""Taking the running sandbox away, whole or what a killed one left: processes, mounts, cgroups, network, sockets."""

from __future__ import annotations

import shutil
from pathlib import Path

from deployments.sandbox import cgroup
from deployments.sandbox.addresses import NAME, NETWORK_NAMESPACE
from deployments.sandbox.kernel import restore_settings
from deployments.sandbox.mounts import MOUNTINFO, mounts_below, unmount_below
from deployments.sandbox.network import delete_network, link_exists
from deployments.sandbox.ownership import read_owner
from deployments.sandbox.paths import Paths
from deployments.sandbox.progress import Steps
from deployments.sandbox.supervisor import Supervisor
from tasks.core.errors import Permanent

POD_LOG_LINKS = Path("/var/log/containers")
CNI_RESULTS = Path("/var/lib/cni/results")
SHIMS = Path("/run/containerd")
"""Three places that kubelet, CNI and containerd use without a setting for another."""


def check_owner(paths: Paths) -> None:
    """Raises Permanent when the sandbox of another clone runs on this machine."""
    owner = read_owner(paths)
    if owner is None or owner == paths.state or not owner.exists() or not cgroup.has_processes():
        return
    raise Permanent(
        "sandbox",
        "start it",
        f"this machine has one already, of {owner.parent}",
        f"use that one, or stop it by `make -C {owner.parent} down`",
    )


def clear_leftovers(paths: Paths, steps: Steps) -> None:
    """What runs is ours and supervised; anything else that a sandbox left on the machine is gone."""
    if read_owner(paths) == paths.state and Supervisor(paths).answers():
        return
    if exists(paths):
        with steps.step("clear what was left"):
            remove(paths)


def stop(paths: Paths, steps: Steps) -> None:
    """Nothing of the sandbox is left but its state folder and the cache."""
    with steps.step("stop the parts") as step:
        step.waiting("the supervisor to stop all of them")
        Supervisor(paths).shut_down()
    with steps.step("clear processes, mounts, network"):
        remove(paths)
        shutil.rmtree(paths.run)


def exists(paths: Paths) -> bool:
    """Whether there is anything of a sandbox on this machine."""
    cgroups = any((root / NAME).exists() for root in cgroup.hierarchies())
    return cgroups or link_exists() or NETWORK_NAMESPACE.exists() or bool(_mounts(paths)) or paths.owner.exists()


def remove(paths: Paths) -> None:
    """No process, mount, cgroup, network or socket of the sandbox is left. The cluster's data and the lock stay."""
    cgroup.kill_processes()
    sockets = shim_sockets(paths)
    unmount_below(*_folders(paths))
    cgroup.delete_cgroups()
    delete_network()
    restore_settings(paths)
    for path in (*sockets, *_own_links(paths), *_cni_results()):
        path.unlink(missing_ok=True)
    for folder in (SHIMS / "s", SHIMS, POD_LOG_LINKS, CNI_RESULTS, CNI_RESULTS.parent):
        _delete_if_empty(folder)
    for left in paths.run.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        elif left != paths.lock:
            left.unlink()


def shim_sockets(paths: Paths) -> list[Path]:
    """Sockets of the shims of our containers, as containerd wrote them down beside each."""
    addresses = (paths.run / "containerd").glob("io.containerd.runtime.v2.task/*/*/address")
    return [Path(file.read_text().strip().removeprefix("unix://")) for file in addresses]


def _cni_results() -> list[Path]:
    """What CNI remembers of our pods: of our network, and of the loopback device of the same pod."""
    pods = [file.name.split("-")[1] for file in CNI_RESULTS.glob(f"{NAME}-*")]
    return [file for pod in pods for file in CNI_RESULTS.glob(f"*-{pod}-*")]


def _own_links(paths: Paths) -> list[Path]:
    """The kubelet's links to the logs of our pods, which nobody cleans up once it is stopped."""
    links = POD_LOG_LINKS.iterdir() if POD_LOG_LINKS.is_dir() else ()
    owner = read_owner(paths) or paths.state
    return [link for link in links if link.is_symlink() and link.readlink().is_relative_to(owner)]


def _folders(paths: Paths) -> tuple[Path, ...]:
    owner = read_owner(paths)
    return (paths.state, paths.run, *((owner,) if owner else ()))


def _mounts(paths: Paths) -> list[Path]:
    return mounts_below(MOUNTINFO.read_text(), _folders(paths))


def _delete_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
