"""Locks: exactly which packages a list stands for, each by its hash. Written by lock-image, read by builds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name

from config.image import DEBIAN_LIST
from tasks.core.change import Action, Change, Plan
from tasks.core.errors import Permanent
from tasks.core.problems import Problem
from tasks.image.base import Base
from tasks.image.lists import PackageList

ABOUT = "lock.json"
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][-A-Za-z0-9._]*)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True)
class Archive:
    """A Debian package by its hash."""

    name: str
    version: str
    architecture: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name}={self.version} {self.architecture} sha256:{self.sha256}"


@dataclass(frozen=True)
class Locks:
    """What a build installs: for each list pip's own format with hashes, and the Debian packages."""

    python: str
    machine: str
    lists: Mapping[str, str]
    """The hash of each list that was locked."""
    texts: Mapping[str, str] = field(repr=False)
    """The lock of each list of Python packages."""
    archives: tuple[Archive, ...] = field(repr=False)
    base: Mapping[str, str] = field(repr=False)
    """Versions of the base's packages, with which they agree."""

    @property
    def debian(self) -> str:
        """The lock of the Debian packages."""
        return "".join(f"{archive}\n" for archive in self.archives)

    @property
    def versions(self) -> dict[str, str]:
        """Version of each package, by list and name."""
        python = {f"{name} {package}": version for name, text in self.texts.items() for package, version in pins(text)}
        return python | {f"{DEBIAN_LIST} {archive.name}": archive.version for archive in self.archives}


def pins(text: str) -> Iterator[tuple[str, str]]:
    """Canonical name and version of each package of a lock."""
    for match in _PIN.finditer(text):
        yield canonicalize_name(match["name"]), match["version"]


def read_locks(folder: Path) -> Locks | None:
    """The locks in a folder; None when there are none. Raises Permanent for what is none."""
    if not (folder / ABOUT).exists():
        return None
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        names = [name for name in about["lists"] if name != DEBIAN_LIST]
        texts = {name: (folder / f"{name}.txt").read_text(encoding="utf-8") for name in names}
        debian = (folder / f"{DEBIAN_LIST}.txt").read_text(encoding="utf-8")
        archives = tuple(_archive(line) for line in debian.splitlines())
        return Locks(about["python"], about["machine"], about["lists"], texts, archives, about["base"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        remedy = "take it from version control again, or run `python -m flows lock-image` for this profile"
        raise Permanent("image", f"read the locks in {folder}", f"they are garbled: {error}", remedy) from error


def _archive(line: str) -> Archive:
    named, architecture, digest = line.split(" ")
    name, version = named.split("=")
    return Archive(name, version, architecture, digest.removeprefix("sha256:"))


def write_locks(folder: Path, locks: Locks) -> None:
    """The folder has exactly these locks."""
    about = {
        "python": locks.python,
        "machine": locks.machine,
        "lists": dict(locks.lists),
        "base": dict(sorted(locks.base.items())),
    }
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {f"{name}.txt": text for name, text in locks.texts.items()} | {f"{DEBIAN_LIST}.txt": locks.debian}
    for left in folder.glob("*.txt"):
        if left.name not in wanted:
            left.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
    # Last: what it names is there.
    (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def plan_locks(before: Locks | None, after: Locks) -> Plan:
    """What another lock changes: one change for each package."""
    old, new = before.versions if before else dict[str, str](), after.versions
    changes: list[Change] = []
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            action = Action.CREATE if name not in old else Action.UPDATE if name in new else Action.DELETE
            changes.append(Change(action, name, old.get(name, ""), new.get(name, "")))
    return Plan(tuple(changes))


def lock_problems(
    profile: str, locks: Locks | None, lists: Sequence[PackageList], base: Base | None = None
) -> tuple[Problem, ...]:
    """Where locks and lists, or, where it is known, locks and base, do not match."""
    remedy = f"run `python -m flows lock-image {profile}`, and look at what it changes"
    if locks is None:
        return (Problem("locks of the image's packages", "there are none", remedy),)
    found = [*_list_problems(locks, lists), *(_base_problems(locks, base) if base else ())]
    return tuple(Problem("locks of the image's packages", text, remedy) for text in found)


def _list_problems(locks: Locks, lists: Sequence[PackageList]) -> Iterator[str]:
    named = {one.name: one.hash for one in lists}
    for name, wanted in named.items():
        if locks.lists.get(name) != wanted:
            yield f"list {name} {'was changed since' if name in locks.lists else 'has no lock'}"
    for name in locks.lists.keys() - named.keys():
        yield f"list {name} has a lock, and the profile does not name it"


def _base_problems(locks: Locks, base: Base) -> Iterator[str]:
    if (locks.python, locks.machine) != (base.python, base.machine):
        yield f"they are for Python {locks.python} on {locks.machine}, and the base has {base.python} on {base.machine}"
    other = [
        f"{name} {base.packages.get(name, 'not at all')}, not {version}"
        for name, version in sorted(locks.base.items())
        if base.packages.get(name) != version
    ]
    if other:
        yield f"the base has {'; '.join(other[:3])}{f' and {len(other) - 3} more' if len(other) > 3 else ''}"
