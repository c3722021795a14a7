"""What a base is for the packages over it, by its own databases."""

from __future__ import annotations

import pytest

from config.images import PinnedImage
from tasks.core.errors import Permanent
from tasks.image.base import base_of
from tasks.image.inventory import Inventory, Python
from tasks.image.packages import Kind, Package

IMAGE = PinnedImage("r.io", "base", "sha256:" + "0" * 64)
LIBC = Package(Kind.DEBIAN, "libc6", "2.36-9+deb12u10")
HUB = Package(Kind.PYTHON, "jupyterhub", "5.5.0", where="/opt/conda")
PACKAGES = (
    LIBC, HUB, Package(Kind.PYTHON, "Ruamel.Yaml", "0.18", where="/opt/conda"),
    Package(Kind.PYTHON, "pip", "23", where="/usr"),
)  # fmt: skip
PYTHONS = (Python("/opt/conda", "3.13"), Python("/usr", "3.11"))


def test_the_python_that_counts_is_that_of_jupyterhub() -> None:
    base = base_of(IMAGE, "amd64", Inventory(PACKAGES, pythons=PYTHONS, files={"etc/apt/sources.list": b"deb"}))
    assert (base.python, base.machine, base.glibc) == ("3.13", "x86_64", 36)
    assert base.packages == {"jupyterhub": "5.5.0", "ruamel-yaml": "0.18"}
    assert base.platforms[0] == "manylinux_2_36_x86_64"
    assert base.platforms[-1] == "manylinux1_x86_64"
    assert base.files == {"etc/apt/sources.list": b"deb"}


def test_another_processor_has_other_wheels() -> None:
    base = base_of(IMAGE, "arm64", Inventory(PACKAGES, pythons=PYTHONS))
    assert base.platforms[-1] == "manylinux2014_aarch64"


@pytest.mark.parametrize(
    ("packages", "missing"), [((LIBC,), "no package jupyterhub"), ((HUB,), "no libc6"), ((), "no package jupyterhub")]
)
def test_a_base_without_a_notebook_server_is_refused(packages: tuple[Package, ...], missing: str) -> None:
    with pytest.raises(Permanent, match=missing):
        base_of(IMAGE, "amd64", Inventory(packages, pythons=PYTHONS))
