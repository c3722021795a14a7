"""What is mounted below the sandbox's folders, and taking it away."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tasks.core.process import run

MOUNTINFO = Path("/proc/self/mountinfo")
MOUNT_POINT = 4
"""Which word of a mountinfo line is the mount point (proc(5))."""
UNMOUNT_SECONDS = 30.0
_OCTAL = re.compile(r"\\([0-7]{3})")


def mounts_below(mountinfo: str, folders: Iterable[Path]) -> list[Path]:
    """Mount points at or below the folders, deepest and latest first, as they have to be unmounted. Pure."""
    points = [Path(_unescape(line.split()[MOUNT_POINT])) for line in mountinfo.splitlines()]
    wanted = tuple(folders)
    below = [point for point in points if any(point.is_relative_to(folder) for folder in wanted)]
    below.reverse()
    return sorted(below, key=lambda point: -len(point.parts))


def unmount_below(*folders: Path) -> None:
    """Nothing is mounted at or below the folders.

    Lazily, because a file system that was in use by a killed process may stay busy for a moment.
    """
    for point in mounts_below(MOUNTINFO.read_text(), folders):
        run(
            ["umount", "--lazy", point],
            timeout=UNMOUNT_SECONDS,
            remedy="see who uses it by `fuser -m`, then run `make down` again",
        )


def _unescape(word: str) -> str:
    """The kernel writes blanks and backslashes of a path as octal numbers."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), word)
