"""What can be seen of the cluster that a hub is to live in."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tasks.core.objects import Body


@dataclass(frozen=True)
class SeenCertificate:
    """A certificate: the names that it is for, until when it is valid, and whether the key beside it is its own."""

    names: tuple[str, ...]
    not_after: datetime
    own_key: bool


@dataclass(frozen=True)
class SeenCluster:
    """What the cluster has. None stands for what the account may not look at."""

    storage_classes: Sequence[Body] | None = ()
    ingress_classes: Sequence[Body] | None = ()
    nodes: Sequence[Body] | None = ()
    claims: Sequence[Body] | None = ()
    quotas: Sequence[Body] | None = ()
    limit_ranges: Sequence[Body] | None = ()
    tls_secrets: Sequence[Body] | None = field(default=(), repr=False)
    """Those of the name that the profile gives: one or none."""


def parse_certificate(secret: Body) -> SeenCertificate | None:
    """The first certificate of a TLS Secret, which is the server's; None when there is none that can be read."""
    data = secret.get("data") or {}
    try:
        certificate = x509.load_pem_x509_certificates(base64.b64decode(data.get("tls.crt", "")))[0]
        key = serialization.load_pem_private_key(base64.b64decode(data.get("tls.key", "")), password=None)
    except (ValueError, TypeError):
        return None
    own_key = key.public_key() == certificate.public_key()
    return SeenCertificate(_names(certificate), certificate.not_valid_after_utc, own_key)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.get_values_for_type(x509.DNSName))
