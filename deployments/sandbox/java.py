"""The machine's newest Java, which Keycloak runs on. Needs the standard library only."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

OLDEST_JAVA = 21
"""Keycloak 26 runs on no older one (its documentation, Getting started)."""
FOLDER = Path("/usr/lib/jvm")
_VERSION = re.compile(r'^JAVA_VERSION="(?:1\.)?(\d+)', re.MULTILINE)


@dataclass(frozen=True)
class Java:
    """A Java installation: its folder, and its feature version (8, 17, 21 …)."""

    home: Path
    version: int


def newest_java(environment: Mapping[str, str] = os.environ, folder: Path = FOLDER) -> Java | None:
    """The newest of those in JAVA_HOME, in Debian's folder and on PATH; None without any."""
    homes = [*folder.glob("*"), *_named(environment)]
    found = [java for home in homes if (java := _read(home.resolve()))]
    return max(found, key=lambda java: (java.version, java.home), default=None)


def _named(environment: Mapping[str, str]) -> list[Path]:
    on_path = shutil.which("java", path=environment.get("PATH"))
    homes = [Path(environment["JAVA_HOME"])] if environment.get("JAVA_HOME") else []
    return [*homes, *([Path(on_path).resolve().parents[1]] if on_path else [])]


def _read(home: Path) -> Java | None:
    """What a folder's file ``release`` says, which every build of OpenJDK has."""
    try:
        match = _VERSION.search((home / "release").read_text())
    except OSError:
        return None
    return Java(home, int(match[1])) if match and (home / "bin" / "java").exists() else None
