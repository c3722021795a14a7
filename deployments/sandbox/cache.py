"""What is built once for a machine: kept outside the clone, under a key of everything that it is made from."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

KEY_CHARACTERS = 16
KEPT = 2
"""Folders of one name that stay: a second clone, or the commit before, stays warm too."""
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""A command after these is killed when we are: else it would go on writing into the folder of the next build."""


def cache_root() -> Path:
    """The folder of everything built: ``$XDG_CACHE_HOME/hubwright``, or ``~/.cache/hubwright``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hubwright"


def digest_of(*inputs: str | Path) -> str:
    """A key of texts, and of the names and contents of files and folders, in this order."""
    whole = hashlib.sha256()
    for part in inputs:
        whole.update(_digest(part).encode())
    return whole.hexdigest()


def build_once(kind: str, name: str, key: str, build: Callable[[Path], None]) -> Path:
    """The folder ``<cache>/<kind>/<name>-<key>``, made by ``build`` unless it is there.

    It appears whole or not at all, so a killed build is never taken for a finished one, and two builds of
    the same thing at once wait for each other. After a build only the newest two of a name stay: a cache
    that only grows would fill the disk.
    """
    folder = cache_root() / kind
    finished = folder / f"{name}-{key[:KEY_CHARACTERS]}"
    if finished.exists():
        return finished
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            unfinished = folder / f".{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            build(unfinished)
            unfinished.rename(finished)
            _remove_oldest(folder, name)
    return finished


def _remove_oldest(folder: Path, name: str) -> None:
    length = len(name) + 1 + KEY_CHARACTERS
    # The times of a folder change no more once it has its name, so they say when it was built.
    built = [other for other in folder.glob(f"{name}-*") if len(other.name) == length]
    for other in sorted(built, key=lambda path: path.stat().st_mtime_ns)[:-KEPT]:
        shutil.rmtree(other)


def _digest(part: str | Path) -> str:
    if isinstance(part, str):
        return hashlib.sha256(b"text" + part.encode()).hexdigest()
    if part.is_file():
        return hashlib.sha256(b"file" + part.read_bytes()).hexdigest()
    files = sorted(inner for inner in part.rglob("*") if inner.is_file() and "__pycache__" not in inner.parts)
    return digest_of(*(text for file in files for text in (file.relative_to(part).as_posix(), _digest(file))))
