"""The image that a build starts from, as far as packages over it depend on it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from packaging.utils import canonicalize_name

from config.images import PinnedImage
from tasks.core.errors import Permanent
from tasks.image.inventory import Inventory
from tasks.image.packages import Kind

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Python's names of processors, by Go's, which images have."""

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


def base_of(image: PinnedImage, architecture: str, inventory: Inventory) -> Base:
    """The base of an image with these packages. Raises Permanent when no notebook server could start in it."""
    home = next((one.where for one in inventory.packages if one.kind is Kind.PYTHON and one.name == "jupyterhub"), None)
    python = next((one.version for one in inventory.pythons if one.prefix == home), None)
    glibc = next((one.version for one in inventory.packages if one.kind is Kind.DEBIAN and one.name == "libc6"), None)
    if not (home and python and glibc):
        remedy = "take a base of Debian or Ubuntu that has JupyterHub's single-user server, in image.build.base"
        missing = "no package jupyterhub in any Python" if not (home and python) else "no libc6"
        raise Permanent("image", f"look into {image}", f"it has {missing}", remedy)
    packages = {
        str(canonicalize_name(one.name)): one.version
        for one in inventory.packages
        if one.kind is Kind.PYTHON and one.where == home
    }
    minor = int(glibc.split("-")[0].split(".")[1])
    return Base(image, python, MACHINES.get(architecture, architecture), minor, packages, inventory.files)
