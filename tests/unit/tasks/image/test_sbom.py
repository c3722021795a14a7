"""The SPDX document of an image: valid, complete, and the same for the same parts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from config.images import PinnedImage
from tasks.image.inventory import Distribution, Inventory
from tasks.image.packages import Kind, Package
from tasks.image.sbom import purl, sbom_document

IMAGE = PinnedImage("registry.example.com:8443", "iav/base-notebook", "sha256:" + "a" * 64)
NOW = datetime(2026, 11, 23, 22, 0, 1, 999, UTC)
TRIXIE = Distribution("debian", "13", "trixie")
URL = "https://conda.example.com/conda-forge/linux-64/absl-py-0.4.1-py36h06a4308_0.tar.bz2"
DEBIAN = Package(Kind.DEBIAN, "libstdc++6", "1:14.2.0-19~x+b1", architecture="amd64")
PYTHON = Package(Kind.PYTHON, "Typing_Extensions", "1!4.0+local.1", "PSF-2.0", "/opt/conda")
CONDA = Package(Kind.CONDA, "absl-py", "0.4.1", "Apache 2", "/opt/conda", "linux-64", "py36h06a4308_0", URL)
PARTS = Inventory(packages=(DEBIAN, PYTHON, CONDA), distribution=TRIXIE)


def document(inventory: Inventory = PARTS, created: datetime = NOW) -> dict[str, Any]:
    return json.loads(sbom_document(IMAGE, inventory, created))


def faults(written: dict[str, Any]) -> list[str]:
    parsed = JsonLikeDictParser().parse(written)
    return [message.validation_message for message in validate_full_spdx_document(parsed, "SPDX-2.3")]


def test_it_is_valid_by_spdxs_own_tools() -> None:
    assert faults(document()) == []
    assert faults(document(Inventory())) == []


def test_it_is_the_same_for_the_same_and_another_for_others() -> None:
    mixed = Inventory(packages=PARTS.packages[::-1], distribution=TRIXIE, files={"a": b"not in it"})
    there = NOW.astimezone(timezone(timedelta(hours=5)))
    assert sbom_document(IMAGE, PARTS, NOW) == sbom_document(IMAGE, PARTS, there)
    assert {one["SPDXID"] for one in document(mixed)["packages"]} == {one["SPDXID"] for one in document()["packages"]}
    names = {
        document(inventory, created)["documentNamespace"]
        for inventory in (PARTS, Inventory(packages=PARTS.packages[:1]))
        for created in (NOW, NOW + timedelta(seconds=1))
    }
    assert len(names) == 4


def test_the_image_is_what_it_describes_and_contains_every_package() -> None:
    written = document()
    image, *parts = written["packages"]
    assert image["name"] == "registry.example.com:8443/iav/base-notebook"
    assert image["checksums"] == [{"algorithm": "SHA256", "checksumValue": "a" * 64}]
    assert image["primaryPackagePurpose"] == "CONTAINER"
    assert written["creationInfo"]["created"] == "2026-11-23T22:00:01Z"
    kinds = [(one["relationshipType"], one["spdxElementId"]) for one in written["relationships"]]
    assert kinds == [("DESCRIBES", "SPDXRef-DOCUMENT"), *[("CONTAINS", image["SPDXID"])] * 3]
    assert [one["relatedSpdxElement"] for one in written["relationships"]] == [
        image["SPDXID"],
        *(part["SPDXID"] for part in parts),
    ]
    assert [(part["name"], part["versionInfo"]) for part in parts] == [
        (package.name, package.version) for package in sorted(PARTS.packages)
    ]


def test_a_license_is_declared_where_it_is_one_and_else_only_quoted() -> None:
    parts = {part["name"]: part for part in document()["packages"]}
    assert parts["Typing_Extensions"]["licenseDeclared"] == "PSF-2.0"
    assert "licenseComments" not in parts["Typing_Extensions"]
    assert parts["absl-py"]["licenseDeclared"] == "NOASSERTION"
    assert parts["absl-py"]["licenseComments"] == "the package says: Apache 2"
    assert parts["absl-py"]["downloadLocation"] == URL


@pytest.mark.parametrize(
    ("package", "distribution", "expected"),
    [
        (DEBIAN, TRIXIE, "pkg:deb/debian/libstdc%2B%2B6@1:14.2.0-19~x%2Bb1?arch=amd64&distro=trixie"),
        (DEBIAN, Distribution("ubuntu", "24.04"),
         "pkg:deb/ubuntu/libstdc%2B%2B6@1:14.2.0-19~x%2Bb1?arch=amd64&distro=ubuntu-24.04"),
        (Package(Kind.DEBIAN, "a", "1"), Distribution(), "pkg:deb/debian/a@1"),
        (PYTHON, TRIXIE, "pkg:pypi/typing-extensions@1%214.0%2Blocal.1"),
        (CONDA, TRIXIE,
         "pkg:conda/absl-py@0.4.1?build=py36h06a4308_0&channel=conda-forge&subdir=linux-64&type=tar.bz2"),
        (Package(Kind.CONDA, "_libgcc_mutex", "0.1"), TRIXIE, "pkg:conda/_libgcc_mutex@0.1"),
    ],
)  # fmt: skip
def test_a_package_url_is_as_its_kind_wants_it(package: Package, distribution: Distribution, expected: str) -> None:
    assert purl(package, distribution) == expected


def test_the_package_urls_stand_in_the_document() -> None:
    [reference] = document()["packages"][0]["externalRefs"]
    assert reference["referenceLocator"] == (
        f"pkg:oci/base-notebook@{IMAGE.digest}?repository_url=registry.example.com:8443%2Fiav%2Fbase-notebook"
    )
    found = [part["externalRefs"][0]["referenceLocator"] for part in document()["packages"][1:]]
    assert found == [purl(package, TRIXIE) for package in sorted(PARTS.packages)]


WORDS = st.sampled_from(
    ["MIT", "mit", "Apache-2.0", "Apache 2.0", "AND", "OR", "WITH", "(", ")", "GPL-2.0+", "BSD", "or later", "NONE",
     "Classpath-exception-2.0", "LicenseRef-x", "DocumentRef-a:LicenseRef-b", "NOASSERTION", ",", "\n", "http://x/y"]
)  # fmt: skip
ODD = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(name=ODD, version=ODD, license_=st.lists(WORDS, max_size=5).map(" ".join) | ODD, file=ODD)
def test_whatever_packages_call_themselves_the_document_is_valid(
    name: str, version: str, license_: str, file: str
) -> None:
    url = f"https://conda.example.com/{file}"
    packages = tuple(Package(kind, name, version, license_, "/opt", url=url) for kind in Kind)
    assert faults(document(Inventory(packages=packages, distribution=TRIXIE))) == []


def test_it_names_no_file_of_this_machine() -> None:
    assert str(Path.home()) not in json.dumps(document())
