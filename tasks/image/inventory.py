"""What an image is made of, by its own databases of packages: Debian's, Python's and conda's."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import IO, cast

from tasks.core.errors import Permanent, Transient
from tasks.image.packages import Package, parse_conda, parse_debian, parse_os_release, parse_python
from tasks.image.state import Readable

LARGEST_DATABASE = 64 * 2**20
LARGEST_HEADERS = 2**20
"""Of a Python package: its name and version stand at the top, its description after them may be long."""
LARGEST_KEYRING = 2**20
BLOCK = tarfile.BLOCKSIZE

STATUS = "var/lib/dpkg/status"
_STATUS_PART = re.compile(r"var/lib/dpkg/status\.d/[^/]+")
_PYTHON = re.compile(r"(?P<folder>.+)/[^/]+\.(dist-info/METADATA|egg-info/PKG-INFO)")
_CONDA = re.compile(r"(?:(?P<prefix>.+)/)?conda-meta/[^/]+\.json")
_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
"""The first counts, where both are files; usually it is a link to the second."""
_KEPT = re.compile(r"etc/apt/(sources\.list(\.d/[^/]+)?|(trusted\.gpg\.d|keyrings)/[^/]+)|usr/share/keyrings/[^/]+")
_SITE = re.compile(r"(?P<prefix>.+)/lib/python(?P<version>3\.[0-9]+)/(site|dist)-packages(/.*)?")
_INSTALLER = re.compile(r"(opt/[^/]+|usr/local|usr)/bin/(mamba|conda)")
_PACKAGE_CACHE = re.compile(r"(.+/)?pkgs/[^/]+/")
"""Where conda unpacks what it then links into a prefix."""


@dataclass(frozen=True)
class Distribution:
    """The system's name as its os-release says it; empty where it does not."""

    id: str = ""
    version_id: str = ""
    codename: str = ""


@dataclass(frozen=True, order=True)
class Python:
    """A Python, by what has packages for it: ``/opt/conda`` and ``3.13``."""

    prefix: str
    version: str


@dataclass(frozen=True)
class Inventory:
    """What an image is made of."""

    packages: tuple[Package, ...] = ()
    distribution: Distribution = field(default_factory=Distribution)
    pythons: tuple[Python, ...] = ()
    installer: str = ""
    """The path of mamba, or else of conda; empty where there is neither."""
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes], repr=False)
    """Without the leading slash: dpkg's status, and apt's sources and keyrings."""

    @property
    def jupyterhub(self) -> str:
        """The version of the package jupyterhub; empty where there is none."""
        return next((package.version for package in self.packages if package.name == "jupyterhub"), "")


def read_inventory(stream: Readable) -> Inventory:
    """The inventory of a root file system, which comes as an uncompressed tar, from its first byte to its last.

    It is read once and not kept: memory holds the databases only. Raises Transient when the stream ends early,
    Permanent when a database is larger than any is.
    """
    found, whole = _Found(), _Watched(stream)
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", whole), mode="r|", bufsize=2**17, errors="replace") as archive:
            for member in _members(archive):
                found.see(archive, member)
        whole.drain()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise _broken(str(error) or type(error).__name__) from error
    if not whole.ended:
        raise _broken("it ends before its end mark")
    return found.inventory()


class _Watched:
    """A stream that remembers how it ended: tarfile takes one that was cut between two files for a whole one."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._tail = b""

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        self._tail = (self._tail + piece)[-BLOCK:]
        return piece

    def drain(self) -> None:
        """What comes after the end mark is read too: whoever sends waits until it is."""
        while self.read(2**20):
            pass

    @property
    def ended(self) -> bool:
        """Whether the last block is empty, as a tar's is."""
        return self._tail == bytes(BLOCK)


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Each entry; the archive forgets it, which by itself would keep all of them."""
    while member := archive.next():
        yield member
        archive.members = []  # pyright: ignore[reportAttributeAccessIssue] # it has no other way before Python 3.13


@dataclass
class _Found:
    """What was seen of the file system so far."""

    packages: set[Package] = field(default_factory=set[Package])
    pythons: set[Python] = field(default_factory=set[Python])
    installers: set[str] = field(default_factory=set[str])
    releases: dict[str, bytes] = field(default_factory=dict[str, bytes])
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    metadata: dict[str, Package] = field(default_factory=dict[str, Package])
    """The Python packages by their files, since conda links one file into several places."""

    def see(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """One entry, noted if it says something."""
        path = _path(member.name)
        if named := _PYTHON.fullmatch(path):
            self._see_python(archive, member, path, _prefix(named["folder"]))
        if _PACKAGE_CACHE.match(path):
            return
        if site := _SITE.fullmatch(path):
            self.pythons.add(Python(f"/{site['prefix']}", site["version"]))
        if _INSTALLER.fullmatch(path):
            self.installers.add(f"/{path}")
        if member.isreg():
            self._read(archive, member, path)

    def _see_python(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str, prefix: str) -> None:
        if member.isreg():
            found = next(parse_python(_start(archive, member, LARGEST_HEADERS), prefix), None)
        else:
            linked = self.metadata.get(_path(member.linkname)) if member.islnk() else None
            found = linked and replace(linked, where=prefix)
        if found:
            self.metadata[path] = found
        if found and not _PACKAGE_CACHE.match(path):
            self.packages.add(found)

    def _read(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        if path == STATUS or _STATUS_PART.fullmatch(path):
            content = _content(archive, member, LARGEST_DATABASE)
            self.packages.update(parse_debian(content))
            self.files |= {path: content} if path == STATUS else {}
        elif named := _CONDA.fullmatch(path):
            content = _content(archive, member, LARGEST_DATABASE)
            self.packages.update(parse_conda(content, f"/{named['prefix'] or ''}"))
        elif path in _OS_RELEASE:
            self.releases[path] = _start(archive, member, LARGEST_HEADERS)
        elif _KEPT.fullmatch(path) and member.size <= LARGEST_KEYRING:
            self.files[path] = _content(archive, member, LARGEST_KEYRING)

    def inventory(self) -> Inventory:
        """All of it, in one order whatever the tar's was."""
        release = next((self.releases[path] for path in _OS_RELEASE if path in self.releases), b"")
        installers = sorted(self.installers, key=lambda path: (not path.endswith("/mamba"), path))
        return Inventory(
            packages=tuple(sorted(self.packages)),
            distribution=Distribution(*parse_os_release(release)),
            pythons=tuple(sorted(self.pythons)),
            installer=installers[0] if installers else "",
            files={path: self.files[path] for path in sorted(self.files)},
        )


def _path(name: str) -> str:
    """An entry's name as every tar could write it: without a leading ``./`` or slash."""
    return name.removeprefix("./").strip("/")


def _prefix(folder: str) -> str:
    """Where the Python is whose own packages are in a folder: ``/opt/conda``; else the folder.

    A copy that a package brings along for itself (setuptools' ``_vendor``) is none of that Python's.
    """
    own = re.fullmatch(r"((?P<prefix>.+)/)?lib/python3[^/]*/(site|dist)-packages", folder)
    return f"/{(own['prefix'] or '') if own else folder}"


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, largest: int) -> bytes:
    if member.size > largest:
        remedy = "look at that file in the image: it is larger than any such file is"
        raise Permanent("image", f"read /{member.name.strip('/')} in it", f"it has {member.size} bytes", remedy)
    return _start(archive, member, largest)


def _start(archive: tarfile.TarFile, member: tarfile.TarInfo, most: int) -> bytes:
    file = archive.extractfile(member)
    return file.read(most) if file else b""


def _broken(why: str) -> Transient:
    remedy = "run again; if it happens again, look at the container engine's log, and whether its disk is full"
    return Transient("image", "read its file system", f"what came is no whole tar: {why}", remedy)
