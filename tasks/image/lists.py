"""The lists of packages that an image is to have, as people write them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from config.image import CUDA_LIST, DEBIAN_LIST, OWN_LIST, Build
from config.types import DEBIAN_NAME
from tasks.core.errors import Permanent

LISTS = "lists"


@dataclass(frozen=True)
class PackageList:
    """A list of Python packages: what it asks for, as pip's requirements write it."""

    name: str
    requirements: tuple[str, ...]

    @property
    def hash(self) -> str:
        """Another one when something else is asked for."""
        return hashlib.sha256("\n".join(sorted(self.requirements)).encode()).hexdigest()

    @property
    def names(self) -> tuple[str, ...]:
        """The packages that are asked for, by canonical name."""
        return tuple(sorted({canonicalize_name(Requirement(line).name) for line in self.requirements}))


def read_lists(build: Build) -> tuple[PackageList, ...]:
    """The lists of Python packages in the order of their layers. Raises Permanent for what is no list."""
    files = [Path(file) for file in build.lists]
    if build.cuda:
        files.append(Path(build.context) / LISTS / f"{CUDA_LIST}.txt")
    read = [PackageList(file.stem, tuple(_requirements(str(file), _lines(file)))) for file in files]
    own = PackageList(OWN_LIST, tuple(_requirements("image.build.packages", list(enumerate(build.packages, 1)))))
    return (*read, own) if own.requirements else tuple(read)


def read_debian_list(build: Build) -> PackageList:
    """The Debian packages, of the context's list and of the profile. Raises Permanent for a line that is no name."""
    file = Path(build.context) / LISTS / f"{DEBIAN_LIST}.txt"
    lines = _lines(file) if file.exists() else []
    for number, line in lines:
        if not re.fullmatch(DEBIAN_NAME, line):
            remedy = "name one Debian package in a line, without a version or an option: the lock has its version"
            raise Permanent("image", f"read {file}:{number}", f"{line!r} is no name of a package", remedy)
    names = [line for _, line in lines]
    return PackageList(DEBIAN_LIST, tuple(sorted({*names, *build.debian_packages})))


def _lines(file: Path) -> list[tuple[int, str]]:
    """The lines that say something, with their numbers."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        remedy = "correct image.build.lists in the profile: each is a file of pip requirements"
        raise Permanent("image", f"read the list {file}", str(error), remedy) from error
    lines = ((number, line.partition("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1))
    return [(number, line) for number, line in lines if line]


def _requirements(file: str, lines: Sequence[tuple[int, str]]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for number, line in lines:
        name = _name(file, number, line)
        if name in seen:
            answered = f"{name} stands in line {seen[name]} too"
            raise Permanent("image", f"read {file}:{number}", answered, "name each package once in a list")
        seen[name] = number
        yield line


def _name(file: str, number: int, line: str) -> str:
    remedy = "name a package and the versions that will do, like pandas>=2.2: no option, no address, no path"
    try:
        requirement = Requirement(line)
    except InvalidRequirement as error:
        raise Permanent("image", f"read {file}:{number}", f"{line!r} is no requirement", remedy) from error
    if requirement.url:
        raise Permanent("image", f"read {file}:{number}", f"{requirement.name} is named by an address", remedy)
    return canonicalize_name(requirement.name)
