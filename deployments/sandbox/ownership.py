"""Whose the sandbox of this machine is, and that only one command works on it at a time."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deployments.sandbox.paths import Paths, write_if_changed
from tasks.core.errors import Permanent


@contextmanager
def sole_command(paths: Paths) -> Generator[None, None, None]:
    """No other ``up`` or ``down`` of any clone runs meanwhile. Raises Permanent at once when one does.

    The kernel lets go of the lock when this process ends, however it ends.
    """
    file = _locked(paths.lock)
    try:
        os.ftruncate(file, 0)
        os.write(file, json.dumps({"pid": os.getpid(), "clone": str(paths.clone)}).encode())
        yield
    finally:
        os.close(file)


def _locked(path: Path) -> int:
    """A locked file. ``down`` deletes it while it holds the lock, so it may be another file by then."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same_file(file, path):
                return file
        except BlockingIOError:
            raise _busy(path) from None
        os.close(file)


def _is_same_file(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _busy(path: Path) -> Permanent:
    try:
        holder = json.loads(path.read_text())
        who = f"process {holder['pid']} of {holder['clone']} is at it"
    except (OSError, ValueError, KeyError):
        who = "another process is at it"
    return Permanent("sandbox", "start or stop it", who, "wait until that one has ended, or stop it by its id")


def read_owner(paths: Paths) -> Path | None:
    """State folder of the clone whose sandbox this machine has, or had when it was killed; None without one."""
    try:
        owner: Any = json.loads(paths.owner.read_text())
        return Path(owner["state"])
    except (OSError, ValueError, KeyError):
        return None


def write_owner(paths: Paths) -> None:
    """The sandbox of this machine is this clone's."""
    write_if_changed(paths.owner, json.dumps({"state": str(paths.state)}) + "\n")
