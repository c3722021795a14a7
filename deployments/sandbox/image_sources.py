"""What goes into the sandbox's images, fetched on the host so that builds need no network.

The host's own clients fetch, with whatever indexes, proxies and CAs they are set up for. A build only sees the
result, so nothing of those settings can be left in an image.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deployments.sandbox.cache import DIES_WITH_US
from tasks.core.errors import Permanent
from tasks.core.process import run

FETCH_SECONDS = 1200.0
QUERY_SECONDS = 60.0
DEBIAN_RELEASE = "bookworm"
PYTHON = "3.11"
"""The Python of that release; each requirements.txt was made for it."""
OLDEST_GLIBC, NEWEST_GLIBC = 5, 36
"""Minor versions of glibc 2 that wheels may ask for: bookworm has 2.36."""
UNREAD_FILES = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/doc/*")
MACHINE_FILES = ("etc/apt/sources.list", "etc/resolv.conf", "etc/hostname", "var/cache/ldconfig/aux-cache")
"""What says where or when a Debian was made."""
ISOLATED = (*DIES_WITH_US, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""A command after these ends with all its processes and mounts as soon as we end, however that is."""


class Source(Protocol):
    """Something that an image is made from, besides its folder."""

    def inputs(self) -> Sequence[str | Path]:
        """What it depends on, for the image's key."""
        ...

    def fetch(self, context: Path, say: Callable[[str], None]) -> None:
        """The build context has it. Raises Permanent or Transient when it cannot be had."""
        ...


@dataclass(frozen=True)
class Program:
    """A static program of a Debian package on this machine."""

    name: str
    package: str

    def inputs(self) -> Sequence[str | Path]:
        """The program itself: a newer one makes a new image."""
        return (self._path(),)

    def fetch(self, context: Path, say: Callable[[str], None]) -> None:
        """The build context has the program under its name."""
        say(f"copy {self._path()}")
        shutil.copy2(self._path(), context / self.name)

    def _path(self) -> Path:
        found = shutil.which(self.name)
        if found is None:
            raise Permanent(self.name, "find it on PATH", "it is not there", f"apt-get install {self.package}")
        return Path(found)


@dataclass(frozen=True)
class DebianRoot:
    """``debian.tar``: the root file system of a small Debian, from the mirror that this machine uses."""

    packages: tuple[str, ...]

    def inputs(self) -> Sequence[str | Path]:
        """The release and its packages, not their versions: the image is as new as the day it was built."""
        return (DEBIAN_RELEASE, *self.packages)

    def fetch(self, context: Path, say: Callable[[str], None]) -> None:
        """The build context has ``debian.tar``."""
        excluded = [f"--dpkgopt=path-exclude={pattern}" for pattern in UNREAD_FILES]
        forget = "".join(f' "$1/{file}"' for file in MACHINE_FILES)
        run(
            [
                *ISOLATED, "mmdebstrap", "--mode=root", "--variant=minbase", "--skip=output/dev",
                f"--include={','.join(self.packages)}",
                *excluded, "--dpkgopt=path-include=/usr/share/doc/*/copyright",
                f"--customize-hook=rm -f{forget}",
                DEBIAN_RELEASE, context / "debian.tar", f"deb {debian_mirror()} {DEBIAN_RELEASE} main",
            ],
            # Below the build's own folder, where the next build removes what a killed one left.
            env={**os.environ, "TMPDIR": str(context)},
            timeout=FETCH_SECONDS,
            remedy="see that `apt-get update` works on this machine, then try again",
            on_line=say,
        )  # fmt: skip


@dataclass(frozen=True)
class Wheels:
    """``wheels/``: the Python packages of the image folder's ``requirements.txt``, checked against its hashes."""

    def inputs(self) -> Sequence[str | Path]:
        """Nothing: ``requirements.txt`` is in the image's folder."""
        return ()

    def fetch(self, context: Path, say: Callable[[str], None]) -> None:
        """The build context has ``wheels/``."""
        platforms = [word for tag in _platforms(platform.machine()) for word in ("--platform", tag)]
        run(
            [
                sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes",
                "--progress-bar=off", "--requirement", context / "requirements.txt", "--dest", context / "wheels",
                "--implementation", "cp", "--python-version", PYTHON, *platforms,
            ],
            timeout=FETCH_SECONDS,
            remedy="see that pip on this machine can download packages, then try again",
            on_line=say,
        )  # fmt: skip


@dataclass(frozen=True)
class NodeModules:
    """``node_modules/``: the npm packages of the image folder's ``package-lock.json``, none of their scripts run."""

    def inputs(self) -> Sequence[str | Path]:
        """Nothing: ``package-lock.json`` is in the image's folder."""
        return ()

    def fetch(self, context: Path, say: Callable[[str], None]) -> None:
        """The build context has ``node_modules/``."""
        run(
            ["npm", "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"],
            cwd=context,
            timeout=FETCH_SECONDS,
            remedy="install Node with npm, see that npm on this machine can download packages, then try again",
            on_line=say,
        )


def debian_mirror() -> str:
    """The first mirror of Debian itself in this machine's apt sources."""
    asked = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Label: Debian"]
    sites = run(asked, timeout=QUERY_SECONDS, remedy="repair apt's sources").stdout.split()
    if not sites:
        raise Permanent("apt-get", " ".join(asked), "no source of Debian itself", "add one, then `apt-get update`")
    return sites[0]


def _platforms(machine: str) -> list[str]:
    """The tags of the wheels that bookworm can run on a kind of machine, newest first. Pure."""
    versions = range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)
    return [*(f"manylinux_2_{minor}_{machine}" for minor in versions), f"manylinux2014_{machine}"]
