"""The list of an image's parts (SBOM) as an SPDX 2.3 document. Pure: the same parts give the same bytes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from spdx_tools.common.spdx_licensing import spdx_licensing
from spdx_tools.spdx.jsonschema.document_converter import DocumentConverter
from spdx_tools.spdx.model.actor import Actor, ActorType
from spdx_tools.spdx.model.checksum import Checksum, ChecksumAlgorithm
from spdx_tools.spdx.model.document import CreationInfo, Document
from spdx_tools.spdx.model.package import ExternalPackageRef, ExternalPackageRefCategory, PackagePurpose
from spdx_tools.spdx.model.package import Package as SpdxPackage
from spdx_tools.spdx.model.relationship import Relationship, RelationshipType
from spdx_tools.spdx.model.spdx_no_assertion import SpdxNoAssertion
from spdx_tools.spdx.validation.uri_validators import validate_download_location

from config.images import PinnedImage
from tasks.image.inventory import Distribution, Inventory
from tasks.image.packages import Kind, Package

DOCUMENT = "SPDXRef-DOCUMENT"
IMAGE = "SPDXRef-Image"
TOOL = "Hubwright"
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9.-]+")
_ARCHIVES = (".conda", ".tar.bz2")


def sbom_document(image: PinnedImage, inventory: Inventory, created: datetime) -> bytes:
    """The document: it describes the image, which contains each package of the inventory."""
    parts = [_part(package, inventory.distribution) for package in sorted(inventory.packages)]
    document = Document(
        creation_info=_creation(image, inventory, created),
        packages=[_image(image), *parts],
        relationships=[
            Relationship(DOCUMENT, RelationshipType.DESCRIBES, IMAGE),
            *(Relationship(IMAGE, RelationshipType.CONTAINS, part.spdx_id) for part in parts),
        ],
    )
    return json.dumps(DocumentConverter().convert(document), ensure_ascii=False, separators=(",", ":")).encode()


def purl(package: Package, distribution: Distribution) -> str:
    """What names the package for scanners (package-url.org)."""
    match package.kind:
        case Kind.DEBIAN:
            system = distribution.id or "debian"
            distro = distribution.codename or "-".join(filter(None, (distribution.id, distribution.version_id)))
            more = {"arch": package.architecture, "distro": distro}
            return package_url(("deb", system, package.name.lower()), package.version, more)
        case Kind.PYTHON:
            return package_url(("pypi", package.name.lower().replace("_", "-")), package.version, {})
        case Kind.CONDA:
            return package_url(("conda", package.name), package.version, _conda_qualifiers(package))


def package_url(path: tuple[str, ...], version: str, qualifiers: Mapping[str, str]) -> str:
    """A package URL; only a colon is left as it is, and qualifiers that are empty are left out."""
    given = sorted((key, text) for key, text in qualifiers.items() if text)
    query = "&".join(f"{key}={_escaped(text)}" for key, text in given)
    return f"pkg:{'/'.join(map(_escaped, path))}@{_escaped(version)}{'?' if query else ''}{query}"


def _escaped(text: str) -> str:
    return quote(text, safe=":")


def _conda_qualifiers(package: Package) -> dict[str, str]:
    """Channel, subdir and form of the archive that it came as, as its address says them."""
    channel, _slash, file = urlsplit(package.url).path.strip("/").rpartition("/")
    form = next((ending for ending in _ARCHIVES if file.endswith(ending)), "").lstrip(".")
    return {
        "build": package.build,
        "channel": channel.removesuffix(f"/{package.architecture}").rpartition("/")[2],
        "subdir": package.architecture,
        "type": form,
    }


def _creation(image: PinnedImage, inventory: Inventory, created: datetime) -> CreationInfo:
    moment = created.astimezone(UTC).replace(microsecond=0)
    contents = hashlib.sha256(repr((str(image), inventory.packages, moment)).encode()).hexdigest()
    return CreationInfo(
        spdx_version="SPDX-2.3",
        spdx_id=DOCUMENT,
        name=str(image),
        # It names the document, and is no address: other parts, or another moment, are another document.
        document_namespace=f"https://{image.name}/spdx/{contents}",
        creators=[Actor(ActorType.TOOL, TOOL)],
        created=moment.replace(tzinfo=None),  # as the library wants UTC
    )


def _image(image: PinnedImage) -> SpdxPackage:
    name = image.repository.rpartition("/")[2]
    return SpdxPackage(
        spdx_id=IMAGE,
        name=image.name,
        version=image.digest,
        download_location=SpdxNoAssertion(),
        files_analyzed=False,
        checksums=[Checksum(ChecksumAlgorithm.SHA256, image.digest.removeprefix("sha256:"))],
        external_references=[_reference(package_url(("oci", name), image.digest, {"repository_url": image.name}))],
        primary_package_purpose=PackagePurpose.CONTAINER,
        license_concluded=SpdxNoAssertion(),
        license_declared=SpdxNoAssertion(),
    )


def _part(package: Package, distribution: Distribution) -> SpdxPackage:
    declared = _declared(package.license)
    unnamed = isinstance(declared, SpdxNoAssertion)
    return SpdxPackage(
        spdx_id=_id(package),
        name=package.name,
        version=package.version,
        download_location=SpdxNoAssertion() if validate_download_location(package.url) else package.url,
        files_analyzed=False,
        source_info=f"in {package.where}" if package.where else None,
        license_concluded=SpdxNoAssertion(),
        license_declared=declared,
        license_comment=f"the package says: {package.license}" if package.license and unnamed else None,
        external_references=[_reference(purl(package, distribution))],
    )


def _reference(locator: str) -> ExternalPackageRef:
    return ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", locator)


def _id(package: Package) -> str:
    """Its name in the document: the same wherever the package stands in it, and no other's."""
    distinct = hashlib.sha256(repr(package).encode()).hexdigest()[:16]
    return f"SPDXRef-{package.kind}-{_NOT_IN_AN_ID.sub('-', package.name)}-{distinct}"


def _declared(text: str) -> Any:
    """The license, where the package names it by SPDX's own names; free text is none."""
    # A LicenseRef is the name of a text that stands in the document, and we have none.
    if not text.strip() or "licenseref" in text.lower():
        return SpdxNoAssertion()
    try:
        wrong = spdx_licensing.validate(text).errors
    except (AttributeError, IndexError, TypeError):  # the library's own slip, over what cannot be read as an expression
        wrong = [text]
    return SpdxNoAssertion() if wrong else spdx_licensing.parse(text)
