"""What is found in an image's file system, which comes as a tar and only once."""

from __future__ import annotations

import io
import json
import tarfile
import tracemalloc
from collections.abc import Iterator, Mapping

import pytest

from tasks.core.errors import Permanent, Transient
from tasks.image import inventory as module
from tasks.image.inventory import Distribution, Inventory, Python, read_inventory
from tasks.image.packages import Kind, Package

STATUS = b"""Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10
Description: GNU C Library
 Package: not-one
 Version: 1

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: held
Status: hold ok installed
Architecture: all
Version: 1:2.0~rc1
"""
METADATA = b"Metadata-Version: 2.4\nName: Jinja2\nVersion: 3.1.6\nLicense-Expression: BSD-3-Clause\n\nName: other\n"
CONDA = {
    "name": "numpy", "version": "2.3.1", "build": "py313_0", "subdir": "linux-64", "license": "BSD-3-Clause",
    "url": "https://user:word@conda.example.com/t/tk-secret/conda-forge/linux-64/numpy-2.3.1-py313_0.conda?x=y",
}  # fmt: skip
RELEASE = b'NAME="Debian"\nID=debian\nVERSION_ID="13"\n# ID=other\nVERSION_CODENAME=trixie\n'
SITE = "opt/conda/lib/python3.13/site-packages"


class Once(io.RawIOBase):
    """As an engine sends it: nobody can go back, and it comes in pieces."""

    def __init__(self, content: bytes) -> None:
        self._inner = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(min(size, 70_000) if size >= 0 else size)

    def seek(self, *_arguments: int) -> int:
        raise AssertionError("it cannot be read twice")


def tar(files: Mapping[str, bytes], links: Mapping[str, str] | None = None, hard: bool = False) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = (tarfile.LNKTYPE if hard else tarfile.SYMTYPE), target
            archive.addfile(member)
    return sink.getvalue()


def read(files: Mapping[str, bytes], links: Mapping[str, str] | None = None, hard: bool = False) -> Inventory:
    return read_inventory(Once(tar(files, links, hard)))  # pyright: ignore[reportArgumentType]


def test_debian_packages_are_those_that_are_installed() -> None:
    found = read({"var/lib/dpkg/status": STATUS, "var/lib/dpkg/status-old": STATUS.replace(b"libc6", b"old")})
    assert found.packages == (
        Package(Kind.DEBIAN, "held", "1:2.0~rc1", architecture="all"),
        Package(Kind.DEBIAN, "libc6", "2.36-9+deb12u10", architecture="amd64"),
    )


def test_an_image_without_dpkg_has_its_packages_in_parts() -> None:
    part = b"Package: tzdata\nVersion: 2025b\nArchitecture: all\n"
    found = read({"./var/lib/dpkg/status.d/tzdata": part, "./var/lib/dpkg/status.d/tzdata.md5sums": b"0f  usr/share\n"})
    assert [(package.name, package.version) for package in found.packages] == [("tzdata", "2025b")]


def test_a_python_package_is_found_wherever_it_is_and_says_its_prefix() -> None:
    old = b"Metadata-Version: 1.1\nName: six\nVersion: 1.17\nLicense: MIT\n"
    found = read(
        {
            f"{SITE}/jinja2-3.1.6.dist-info/METADATA": METADATA,
            f"{SITE}/setuptools/_vendor/jinja2-3.1.6.dist-info/METADATA": METADATA,
            "usr/lib/python3/dist-packages/six-1.17.egg-info/PKG-INFO": old,
            "srv/tool/jinja2-3.1.6.dist-info/METADATA": METADATA,
            f"{SITE}/broken.dist-info/METADATA": b"no headers",
        }
    )
    assert found.packages == (
        Package(Kind.PYTHON, "Jinja2", "3.1.6", "BSD-3-Clause", "/opt/conda"),
        Package(Kind.PYTHON, "Jinja2", "3.1.6", "BSD-3-Clause", f"/{SITE}/setuptools/_vendor"),
        Package(Kind.PYTHON, "Jinja2", "3.1.6", "BSD-3-Clause", "/srv/tool"),
        Package(Kind.PYTHON, "six", "1.17", "MIT", "/usr"),
    )
    assert found.pythons == (Python("/opt/conda", "3.13"),)


def test_a_license_that_is_a_whole_text_is_none() -> None:
    text = b"Name: a\nVersion: 1\nLicense: Permission is granted\n to everybody\n"
    assert read({"lib/a.egg-info/PKG-INFO": text}).packages[0].license == ""


def test_what_conda_links_from_its_cache_is_found_in_the_prefix_only() -> None:
    cached = "opt/conda/pkgs/jinja2-3.1.6-0/site-packages/jinja2-3.1.6.dist-info/METADATA"
    found = read({cached: METADATA}, {f"{SITE}/jinja2-3.1.6.dist-info/METADATA": cached}, hard=True)
    assert found.packages == (Package(Kind.PYTHON, "Jinja2", "3.1.6", "BSD-3-Clause", "/opt/conda"),)
    assert read({cached: METADATA}).packages == ()


def test_a_conda_package_says_where_it_came_from_but_no_credentials() -> None:
    found = read({"opt/conda/conda-meta/numpy-2.3.1-py313_0.json": json.dumps(CONDA).encode()})
    url = "https://conda.example.com/conda-forge/linux-64/numpy-2.3.1-py313_0.conda"
    wanted = Package(Kind.CONDA, "numpy", "2.3.1", "BSD-3-Clause", "/opt/conda", "linux-64", "py313_0", url)
    assert found.packages == (wanted,)
    assert "secret" not in repr(found)
    assert read({"opt/conda/conda-meta/broken.json": b"[]", "opt/conda/conda-meta/history": b"x"}).packages == ()


@pytest.mark.parametrize("url", ["<unknown>", "file:///home/somebody/numpy.conda", "https://[broken", ""])
def test_a_conda_package_from_nowhere_has_no_address(url: str) -> None:
    found = read({"opt/conda/conda-meta/numpy.json": json.dumps({**CONDA, "url": url}).encode()})
    assert found.packages[0].url == ""


def test_a_folder_whose_name_is_no_text_breaks_nothing() -> None:
    found = read({"srv/caf\udce9/jinja2.dist-info/METADATA": METADATA})
    assert found.packages[0].where == "/srv/caf\N{REPLACEMENT CHARACTER}"


def test_the_systems_name_is_read_and_the_file_in_etc_counts_first() -> None:
    assert read({"usr/lib/os-release": RELEASE}).distribution == Distribution("debian", "13", "trixie")
    other = {"usr/lib/os-release": RELEASE, "etc/os-release": b"ID='ubuntu'\nVERSION_ID=24.04\n"}
    assert read(other).distribution == Distribution("ubuntu", "24.04", "")
    assert read({}, {"etc/os-release": "../usr/lib/os-release"}).distribution == Distribution()


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["opt/conda/bin/conda", "opt/conda/bin/mamba"], "/opt/conda/bin/mamba"),
        (["opt/conda/bin/conda", "opt/conda/pkgs/conda-1/bin/mamba"], "/opt/conda/bin/conda"),
        (["home/me/bin/mamba"], ""),
    ],
)
def test_mamba_counts_before_conda(paths: list[str], found: str) -> None:
    assert read(dict.fromkeys(paths, b"")).installer == found
    assert read({}, dict.fromkeys(paths, "elsewhere")).installer == found


def test_what_apt_goes_by_is_kept_and_not_shown() -> None:
    kept = {
        "etc/apt/sources.list": b"deb http://user:word@mirror.example.com trixie main",
        "etc/apt/sources.list.d/debian.sources": b"Types: deb",
        "etc/apt/trusted.gpg.d/a.asc": b"key",
        "usr/share/keyrings/b.gpg": b"\x99\x01",
        "var/lib/dpkg/status": STATUS,
    }
    large = {"usr/share/keyrings/large.gpg": bytes(module.LARGEST_KEYRING + 1)}
    found = read(kept | large | {"etc/apt/apt.conf": b"x"}, {"usr/share/keyrings/link.gpg": "b.gpg"})
    assert found.files == kept
    assert list(found.files) == sorted(kept)
    assert "word" not in repr(found)


def test_the_hubs_version_is_that_of_its_package() -> None:
    text = b"Name: jupyterhub\nVersion: 5.4.3\n"
    assert read({f"{SITE}/jupyterhub-5.4.3.dist-info/METADATA": text}).jupyterhub == "5.4.3"
    assert read({}).jupyterhub == ""


def test_the_order_of_the_tar_does_not_matter() -> None:
    files = {"usr/lib/os-release": RELEASE, "var/lib/dpkg/status": STATUS, f"{SITE}/a.dist-info/METADATA": METADATA}
    assert read(files) == read(dict(reversed(files.items())))


def test_a_stream_that_was_cut_is_never_taken_for_a_whole_one() -> None:
    content = tar({"var/lib/dpkg/status": STATUS, f"{SITE}/a.dist-info/METADATA": METADATA})
    ends = len(content.rstrip(b"\0"))
    for length in (*range(0, ends, 128), ends):
        with pytest.raises(Transient, match="read its file system"):
            read_inventory(io.BytesIO(content[:length]))
    with pytest.raises(Transient):
        read_inventory(io.BytesIO(b"<html>no tar</html>" * 100))


def test_a_database_larger_than_any_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_DATABASE", 100)
    with pytest.raises(Permanent, match="/var/lib/dpkg/status"):
        read({"var/lib/dpkg/status": STATUS})


class Large(io.RawIOBase):
    """A tar of many files and one that is large, made while it is read."""

    def __init__(self, files: int, size: int) -> None:
        self._pieces = self._made(files, size)
        self._left = b""

    @staticmethod
    def _made(files: int, size: int) -> Iterator[bytes]:
        for number in range(files):
            yield tarfile.TarInfo(f"usr/share/doc/{number}/copyright").tobuf()
        member = tarfile.TarInfo("opt/model.bin")
        member.size = size
        yield member.tobuf()
        for _block in range(size // 2**16):
            yield bytes(2**16)
        yield bytes(2 * tarfile.BLOCKSIZE)

    def read(self, size: int = -1) -> bytes:
        while len(self._left) < size and (piece := next(self._pieces, b"")):
            self._left += piece
        given, self._left = self._left[:size], self._left[size:]
        return given


def test_memory_does_not_grow_with_the_image() -> None:
    tracemalloc.start()
    try:
        read_inventory(Large(8_000, 16 * 2**20))  # pyright: ignore[reportArgumentType]
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3 * 2**20
