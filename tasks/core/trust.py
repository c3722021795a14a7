"""Which certificates a connection is verified by."""

from __future__ import annotations

import ssl

from tasks.core.errors import Permanent

UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
"""What OpenSSL says in the text of an error when a certificate is not trusted, or is for another name."""


def trust(system: str, ca: str | None, setting: str) -> ssl.SSLContext:
    """The system's CAs, or the company's own in the PEM file ``ca``, which the profile names at ``setting``.

    Raises Permanent when that file cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        remedy = f"give the path of a PEM file in {setting}, or leave it out"
        raise Permanent(system, f"read the CA in {ca}", str(error), remedy) from error
