"""The image that a build starts from, as far as packages over it depend on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from config.images import PinnedImage

NEWEST_GLIBC = 5
"""No wheel asks for an older minor version of glibc 2 (PEP 600)."""


@dataclass(frozen=True)
class Base:
    """A base image by digest: its Python, and what it has already."""

    image: PinnedImage
    python: str
    """Major and minor version of the Python that JupyterHub is installed in."""
    machine: str
    """Its processor, as Python calls it: x86_64, aarch64."""
    glibc: int
    """The minor version of its glibc 2."""
    packages: Mapping[str, str] = field(repr=False)
    """Versions of that Python's packages, by canonical name."""
    files: Mapping[str, bytes] = field(repr=False, default_factory=dict[str, bytes])
    """What apt needs of it: dpkg's status, apt's sources and keyrings, by path."""

    @property
    def platforms(self) -> tuple[str, ...]:
        """Tags of the wheels that it can run, newest first (PEP 600)."""
        minors = range(self.glibc, NEWEST_GLIBC - 1, -1)
        legacy = ("manylinux2014", "manylinux2010", "manylinux1") if self.machine == "x86_64" else ("manylinux2014",)
        return tuple(f"{tag}_{self.machine}" for tag in (*(f"manylinux_2_{minor}" for minor in minors), *legacy))
