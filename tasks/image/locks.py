"""Locks: exactly which packages a list stands for, each by its hash. Written by lock-image, read by builds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path

from packaging.utils import canonicalize_name

from config.image import DEBIAN_LIST
from tasks.core.change import Action, Change, Plan
from tasks.core.errors import Permanent
from tasks.core.problems import Problem
from tasks.image.base import Base
from tasks.image.lists import PackageList

ABOUT = "lock.json"
SHOWN_DIGITS = 12
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
    def packages(self) -> dict[str, tuple[str, str]]:
        """Version of each package, and what else the lock says of it, by list and name."""
        python = {
            f"{name} {package}": (version, more)
            for name, text in self.texts.items()
            for package, version, more in _entries(text)
        }
        return python | {f"{DEBIAN_LIST} {archive.name}": (archive.version, str(archive)) for archive in self.archives}


def pins(text: str) -> Iterator[tuple[str, str]]:
    """Canonical name and version of each package of a lock."""
    for name, version, _more in _entries(text):
        yield name, version


def _entries(text: str) -> Iterator[tuple[str, str, str]]:
    found = list(_PIN.finditer(text))
    for match, after in zip_longest(found, found[1:]):
        end = after.start() if after else len(text)
        yield canonicalize_name(match["name"]), match["version"], text[match.start() : end]


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
        lists, base = dict[str, str](about["lists"]), dict[str, str](about["base"])
        return Locks(about["python"], about["machine"], lists, texts, archives, base)
    except (OSError, ValueError, KeyError, TypeError) as error:
        remedy = (
            f"take them from version control again, or delete {folder / ABOUT}, and run `python -m flows lock-image`"
        )
        raise Permanent("image", f"read the locks in {folder}", f"they are garbled: {error}", remedy) from error


def _archive(line: str) -> Archive:
    named, architecture, digest = line.split(" ")
    name, version = named.split("=")
    return Archive(name, version, architecture, digest.removeprefix("sha256:"))


def write_locks(folder: Path, locks: Locks) -> None:
    """The folder has exactly these locks. Whatever else is in it stays."""
    before = read_locks(folder)
    about = {
        "python": locks.python,
        "machine": locks.machine,
        "lists": dict(locks.lists),
        "base": dict(sorted(locks.base.items())),
    }
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {f"{name}.txt": text for name, text in locks.texts.items()} | {f"{DEBIAN_LIST}.txt": locks.debian}
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
    # After them: what it names is there.
    (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    for left in (before.texts.keys() if before else set[str]()) - locks.texts.keys():
        (folder / f"{left}.txt").unlink(missing_ok=True)


def plan_locks(before: Locks | None, after: Locks) -> Plan:
    """What another lock changes: empty exactly when it is the same one."""
    lists = _changes("list ", before.lists if before else {}, after.lists)
    base = () if before is None else _changes("base ", _base(before), _base(after))
    return Plan((*_package_changes(before, after), *(_shortened(change) for change in lists), *base))


def _package_changes(before: Locks | None, after: Locks) -> Iterator[Change]:
    old, new = before.packages if before else dict[str, tuple[str, str]](), after.packages
    yield from _changes("", _first(old), _first(new))
    for name in sorted(old.keys() & new.keys()):
        version = new[name][0]
        if old[name] != new[name] and old[name][0] == version:
            yield Change(Action.UPDATE, name, version, f"{version}, by other hashes")


def _first(packages: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    return {name: version for name, (version, _more) in packages.items()}


def _base(locks: Locks) -> dict[str, str]:
    return {"Python": f"{locks.python} on {locks.machine}", **locks.base}


def _changes(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            action = Action.CREATE if name not in old else Action.UPDATE if name in new else Action.DELETE
            yield Change(action, f"{what}{name}", old.get(name, ""), new.get(name, ""))


def _shortened(change: Change) -> Change:
    """The hash of a list says only that it is another one."""
    return replace(change, before=change.before[:SHOWN_DIGITS], after=change.after[:SHOWN_DIGITS])


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
