"""The kinds of text a profile is made of, each checked as the system that reads it defines it."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_IMAGE = re.compile(
    # The grammar of the OCI distribution spec 1.1 (names, tags) and of its digests, with a registry host in
    # front: without one, container engines disagree on what is meant.
    r"^(?P<registry>(?:[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)*(?::[0-9]+)?)"
    r"/(?P<repository>[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[a-f0-9]{64}))?$"
)
_DURATION = re.compile(r"^(?:(?P<hours>[0-9]{1,3})h)?(?:(?P<minutes>[0-9]{1,4})m)?(?:(?P<seconds>[0-9]{1,5})s)?$")


def parse_duration(text: str) -> timedelta:
    """The length of time that text like ``90s``, ``10m`` or ``1h30m`` (Go's way, as Helm writes it) means."""
    match = _DURATION.fullmatch(text)
    if not match or not text:
        raise ValueError("a duration is hours, minutes and seconds, like 90s, 10m or 1h30m")
    return timedelta(**{unit: int(count) for unit, count in match.groupdict(default="0").items()})


def _check_duration(text: str) -> str:
    if parse_duration(text) <= timedelta(0):
        raise ValueError("a duration must be longer than nothing")
    return text


def _check_image(text: str) -> str:
    match = _IMAGE.fullmatch(text)
    if not match:
        raise ValueError("an image is registry/repository:tag, like registry.example.com/team/notebook:v1")
    if not match["tag"] and not match["digest"]:
        raise ValueError("an image needs a tag or a digest: without one, what runs would change by itself")
    return text


def _check_address(text: str) -> str:
    try:
        ip_address(text)
    except ValueError:
        raise ValueError("an IP address is like 192.0.2.10 or 2001:db8::10") from None
    return text


def split_image(reference: str) -> tuple[str, str, str | None, str | None]:
    """Registry, repository, tag and digest of a valid image reference."""
    match = _IMAGE.fullmatch(reference)
    if not match:
        raise ValueError(f"not an image reference: {reference!r}")
    return match["registry"], match["repository"], match["tag"], match["digest"]


DEBIAN_NAME = r"^[a-z0-9][-+.a-z0-9]*[+.a-z0-9]$"
"""A package's name (Debian Policy 4.7, 5.6.1): no version, no release, no option; a - at its end has apt remove it."""

DebianName = Annotated[str, StringConstraints(pattern=DEBIAN_NAME)]

DnsLabel = Annotated[str, StringConstraints(pattern=rf"^{_LABEL}$", max_length=63)]
"""A name by RFC 1123, as Kubernetes wants it for namespaces and services."""

DnsSubdomain = Annotated[str, StringConstraints(pattern=rf"^{_LABEL}(\.{_LABEL})*$", max_length=253)]
"""A name by RFC 1123 with dots, as Kubernetes wants it for Secrets and claims; also a host name."""

ReleaseName = Annotated[str, StringConstraints(pattern=rf"^{_LABEL}$", max_length=53)]
"""A name of a Helm release: 53 characters at most, as Helm defines it."""

SecretKey = Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]
"""A key in a Kubernetes Secret's data."""

UserName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9_.@]*[a-z0-9])?$", max_length=63)]
"""A name that a person signs in with: lower case, as JupyterHub normalises it."""

Quantity = Annotated[
    str, StringConstraints(pattern=r"^([0-9]+|[0-9]+\.[0-9]+)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$", max_length=32)
]
"""An amount as Kubernetes writes it: 500m, 2, 512Mi, 10Gi."""

_PREFIX = rf"({_LABEL}(\.{_LABEL})*/)"
_NAME = r"[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?"

LabelKey = Annotated[str, StringConstraints(pattern=rf"^{_PREFIX}?{_NAME}$", max_length=317)]
"""The key of a Kubernetes label, with a prefix or without."""

LabelValue = Annotated[str, StringConstraints(pattern=rf"^({_NAME})?$", max_length=63)]
"""The value of a Kubernetes label."""

ExtendedResource = Annotated[str, StringConstraints(pattern=rf"^{_PREFIX}{_NAME}$", max_length=317)]
"""A resource that nodes advertise beside CPU and memory, like nvidia.com/gpu."""

AbsolutePath = Annotated[str, StringConstraints(pattern=r"^(/[^/\x00]+)+$", max_length=1024)]
"""A path inside a container."""

HttpUrl = Annotated[
    str, StringConstraints(pattern=r"^https?://[a-zA-Z0-9.-]+(:[0-9]{1,5})?(/[^\s?#]*)?$", max_length=2048)
]
"""The address of a web service, without query or fragment."""

BrowserUrl = Annotated[str, StringConstraints(pattern=r"^http://[a-zA-Z0-9.-]+:[0-9]{1,5}$", max_length=300)]
"""The address of a browser's remote debugging port, which speaks plain HTTP only."""

ChartRepository = Annotated[
    str, StringConstraints(pattern=r"^(https|oci)://[a-zA-Z0-9.-]+(:[0-9]{1,5})?(/[^\s?#]*)?$", max_length=2048)
]
"""Where Helm finds a chart by name: a Helm repository (https) or an OCI registry (oci)."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^sha256:[a-f0-9]{64}$")]
"""A digest as OCI writes it."""

SemVer = Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+([-+][-+.a-zA-Z0-9]+)?$", max_length=128)]
"""A version by semver.org, in full: a range would let what runs change by itself."""

IPAddress = Annotated[str, Field(max_length=45), AfterValidator(_check_address)]
"""An IP address, of version 4 or 6."""

Duration = Annotated[
    str,
    StringConstraints(pattern=r"^([0-9]{1,3}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$", min_length=2),
    AfterValidator(_check_duration),
]
"""A length of time, like 90s, 10m or 1h30m."""

ImageReference = Annotated[str, Field(max_length=512), AfterValidator(_check_image)]
"""An image by registry, repository, and tag or digest."""
