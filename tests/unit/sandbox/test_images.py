"""The sandbox's images: complete, pinned, and free of what belongs to one machine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from deployments.sandbox.contents import IMAGES as PUSHED
from deployments.sandbox.image_sources import Wheels, _platforms
from deployments.sandbox.images import FOLDERS, IMAGES, Image


def test_every_folder_is_an_image_and_every_image_a_folder() -> None:
    assert {folder.name for folder in FOLDERS.iterdir() if folder.is_dir()} == set(IMAGES)
    assert all(_containerfile(image).is_file() for image in IMAGES.values())


def test_an_image_starts_from_the_one_that_it_names() -> None:
    for image in IMAGES.values():
        [start] = re.findall(r"^FROM (\S+)$", _containerfile(image).read_text(), re.MULTILINE)
        assert start == ("localhost/base" if image.base else "scratch")
        assert {image.base, image.like} <= {"", *IMAGES}


def test_packages_over_the_base_are_installed_from_the_context() -> None:
    over = [image for image in IMAGES.values() if image.packages]
    assert {image.name for image in over} == {"postgresql", "podman", "browser"}
    for image in over:
        assert "source=debian,target=/debian" in _containerfile(image).read_text()


@pytest.mark.parametrize("name", ["postgresql/start-postgresql", "browser/start-browser", "podman/runc"])
def test_a_script_of_an_image_is_sound_and_in_it(name: str) -> None:
    file = FOLDERS / name
    assert file.read_text().startswith("#!/bin/sh\n")
    assert f" {file.name} " in (file.parent / "Containerfile").read_text()


def test_every_image_that_is_pushed_is_one_of_ours_under_a_name_of_its_own() -> None:
    assert {pushed.image for pushed in PUSHED} == set(IMAGES)
    assert len({(pushed.repository, pushed.tag) for pushed in PUSHED}) == len(PUSHED)


def _containerfile(image: Image) -> Path:
    return FOLDERS / (image.like or image.name) / "Containerfile"


@pytest.mark.parametrize("name", [name for name, image in IMAGES.items() if Wheels() in image.sources])
def test_every_python_package_has_a_version_and_hashes(name: str) -> None:
    """And nothing else: no option that names an index."""
    entries = (FOLDERS / name / "requirements.txt").read_text().replace("\\\n", " ").splitlines()
    assert entries
    for entry in entries:
        assert re.fullmatch(r"[a-z0-9.-]+==\S+( +--hash=sha256:[0-9a-f]{64})+", entry), entry


def test_every_npm_package_has_a_version_and_a_hash_but_no_server() -> None:
    packages = json.loads((FOLDERS / "proxy" / "package-lock.json").read_text())["packages"]
    assert len(packages) > 1
    for name, package in packages.items():
        assert not name or {"version", "integrity"} <= set(package), name
        assert "resolved" not in package, name


def test_wheels_are_asked_for_from_the_newest_c_library_down() -> None:
    tags = _platforms("x86_64")
    assert tags[0] == "manylinux_2_36_x86_64"
    assert "manylinux_2_17_x86_64" in tags
    assert tags[-1] == "manylinux2014_x86_64"
