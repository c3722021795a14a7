"""The fault of a full disk: the hub's volume is for a while a file system of its own, with nothing left of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from kubernetes import client

from tasks.core.objects import CLAIM, POD
from tests.faults.faults import expect
from tests.faults.stage import Stage
from tests.sandbox.conftest import Ended

CLAIM_NAME, DATABASE = "hub-db-dir", "jupyterhub.sqlite"
SPARE_KILOBYTES = 64
COPY = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))"


def full_disk(stage: Stage) -> Ended:
    """The run fails, and so does going back, since no hub starts there; both say so, and nothing is written over."""
    stage.change()
    with _full(stage):
        ended = stage.deploy()
    expect(ended.code in (0, 1), "it ends", ended)
    expect(ended.code == 0 or "What to do:" in ended.stderr, "it says what to do", ended)
    return ended


@contextmanager
def _full(stage: Stage) -> Generator[None]:
    folder = _folder(stage)
    aside = stage.sandbox.paths.state / "volumes" / f"{folder.name}-aside.sqlite"
    size = (folder / DATABASE).stat().st_size // 1024 + SPARE_KILOBYTES
    _copy(folder / DATABASE, aside)
    _in_kubelet(stage, "mount", "-t", "tmpfs", "-o", f"size={size}k,mode=0777", "tmpfs", str(folder))
    try:
        _in_kubelet(stage, "sh", "-c", f"cp {aside} {folder}/{DATABASE} && chown 1000:1000 {folder}/{DATABASE}")
        _in_kubelet(stage, "sh", "-c", f"dd if=/dev/zero of={folder}/filler bs=1k 2>/dev/null || true")
        yield
    finally:
        # What the pod sees stays in its own mounts until it ends; the next one has the volume itself again.
        _in_kubelet(stage, "umount", "--lazy", str(folder))
        aside.unlink()
        _restart_hub(stage)


def _folder(stage: Stage) -> Path:
    """Where the volume is on this machine, which is the cluster's only node."""
    claim = stage.sandbox.kubernetes.read(CLAIM, CLAIM_NAME, stage.profile.namespace)
    assert claim
    volume = client.CoreV1Api(stage.sandbox.api()).read_persistent_volume(claim["spec"]["volumeName"])
    place = volume.spec.host_path or volume.spec.local
    return Path(place.path)


def _copy(source: Path, target: Path) -> None:
    subprocess.run([sys.executable, "-c", COPY, source, target], timeout=60, check=True)


def _in_kubelet(stage: Stage, *argv: str) -> None:
    """Run a command where the kubelet's mounts are."""
    pid = stage.part("pid", "kubelet").strip()
    subprocess.run(["nsenter", "--mount", "--target", pid, *argv], capture_output=True, timeout=60, check=True)


def _restart_hub(stage: Stage) -> None:
    core = client.CoreV1Api(stage.sandbox.api())
    for pod in stage.sandbox.kubernetes.list(POD, stage.profile.namespace, "component=hub"):
        core.delete_namespaced_pod(pod["metadata"]["name"], stage.profile.namespace, grace_period_seconds=0)
