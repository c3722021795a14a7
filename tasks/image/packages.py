"""What the files of package databases say, pure: dpkg's status, Python's METADATA, conda's records, os-release."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

NOT_THERE = ("not-installed", "config-files")
"""States of dpkg in which none of a package's programs is there."""
LONGEST_LICENSE = 200
"""What is longer is no name of a license, but its text."""


class Kind(StrEnum):
    """Whose package it is."""

    DEBIAN = "deb"
    PYTHON = "python"
    CONDA = "conda"


@dataclass(frozen=True, order=True)
class Package:
    """One package. What its database does not say is empty."""

    kind: Kind
    name: str
    version: str
    license: str = ""
    where: str = ""
    """The prefix that it is in, of Python and conda."""
    architecture: str = ""
    """Debian's architecture, conda's subdir."""
    build: str = ""
    """Conda's."""
    url: str = ""
    """Where conda had it from, without credentials."""


def parse_debian(content: bytes) -> Iterator[Package]:
    """The installed packages of dpkg's status, or of a part of it (status.d, as images without dpkg have it)."""
    fields: dict[str, str] = {}
    for line in (*content.decode(errors="replace").split("\n"), ""):
        if not line.strip():
            yield from _debian(fields)
            fields = {}
        elif not line[0].isspace():
            name, _colon, text = line.partition(":")
            fields[name] = text.strip()


def _debian(fields: Mapping[str, str]) -> Iterator[Package]:
    state = fields.get("Status", "install ok installed").split()
    if "Package" in fields and "Version" in fields and state and state[-1] not in NOT_THERE:
        architecture = fields.get("Architecture", "")
        yield Package(Kind.DEBIAN, fields["Package"], fields["Version"], architecture=architecture)


def parse_python(content: bytes, prefix: str) -> Iterator[Package]:
    """The package whose METADATA or PKG-INFO this is."""
    headers = BytesHeaderParser().parsebytes(content)
    name, version = (str(headers.get(field, "")).strip() for field in ("Name", "Version"))
    if name and version:
        yield Package(Kind.PYTHON, name, version, _license(headers), prefix)


def _license(headers: Any) -> str:
    for field in ("License-Expression", "License"):
        text = str(headers.get(field, "")).strip()
        if text and "\n" not in text and len(text) <= LONGEST_LICENSE:
            return text
    return ""


def parse_conda(content: bytes, prefix: str) -> Iterator[Package]:
    """The package that a record of conda's is about; nothing of what is no record."""
    try:
        record: Any = json.loads(content)
        name, version = record["name"], record["version"]
    except (ValueError, KeyError, TypeError):
        return
    build, subdir = str(record.get("build") or ""), str(record.get("subdir") or "")
    url, license_ = without_credentials(str(record.get("url") or "")), str(record.get("license") or "")
    yield Package(Kind.CONDA, str(name), str(version), license_[:LONGEST_LICENSE], prefix, subdir, build, url)


def without_credentials(url: str) -> str:
    """The address without user, password, query and token (``/t/<token>/`` in the channels of conda servers).

    Empty for what is no address of the web: a file of whoever built the image, or conda's ``<unknown>``.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https"):
        return ""
    path = parts.path
    if path.startswith("/t/"):
        path = f"/{path.removeprefix('/t/').partition('/')[2]}"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], path=path, query="", fragment="").geturl()


def parse_os_release(content: bytes) -> tuple[str, str, str]:
    """ID, VERSION_ID and VERSION_CODENAME of os-release(5)."""
    fields: dict[str, str] = {}
    for line in content.decode(errors="replace").splitlines():
        name, equals, text = line.partition("=")
        if equals and not name.startswith("#"):
            fields[name.strip()] = _unquoted(text)
    return fields.get("ID", ""), fields.get("VERSION_ID", ""), fields.get("VERSION_CODENAME", "")


def _unquoted(text: str) -> str:
    try:
        return "".join(shlex.split(text))
    except ValueError:  # a quote that nothing closes
        return text.strip()
