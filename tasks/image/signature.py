"""The signature of an image in cosign's format: simple signing, ECDSA P-256 over SHA-256. Pure but for chance."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import SecretStr

from config.images import PinnedImage
from tasks.core.errors import Permanent

KIND = "cosign container image signature"
_REMEDY = (
    "make a key (openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256) and put it, as it is, into the secret"
    " that image.build.signing_key names"
)


@dataclass(frozen=True)
class SigningKey:
    """A private key that signs images."""

    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    def sign(self, payload: bytes) -> str:
        """A signature (ASN.1 DER, base64): each time another, since ECDSA draws a number."""
        return base64.b64encode(self._key.sign(payload, ec.ECDSA(SHA256()))).decode()

    def verifies(self, payload: bytes, signature: str) -> bool:
        """Whether the signature of the payload is by this key."""
        return _verifies(self._key.public_key(), payload, signature)

    def public_pem(self) -> str:
        """The public key, by which anybody can verify: what ``cosign verify --key`` takes."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass(frozen=True)
class MadeSignature:
    """A signature that was made of a payload, and the public key by which it and others can be told."""

    payload: bytes
    signature: str
    public_key: str

    @classmethod
    def of(cls, key: SigningKey, payload: bytes) -> MadeSignature:
        """A payload signed by a key, which goes no further."""
        return cls(payload, key.sign(payload), key.public_pem())

    def sign(self, payload: bytes) -> str:
        """The signature, of no payload but its own."""
        assert payload == self.payload
        return self.signature

    def verifies(self, payload: bytes, signature: str) -> bool:
        """Whether the signature of the payload is by the same key."""
        key = load_pem_public_key(self.public_key.encode())
        assert isinstance(key, ec.EllipticCurvePublicKey)
        return _verifies(key, payload, signature)


def read_key(secret: SecretStr) -> SigningKey:
    """The key of a PEM text. Raises Permanent for what is none, and never quotes it."""
    try:
        key = load_pem_private_key(secret.get_secret_value().encode(), password=None)
    except TypeError:
        raise _unusable("it is encrypted, with a password that nobody gives") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _unusable("it is no private key in PEM that can be read") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _unusable("it is a key of another kind than ECDSA P-256") from None
    return SigningKey(key)


def signing_payload(image: PinnedImage) -> bytes:
    """What is signed of an image: always the same bytes for the same image."""
    critical = {
        "identity": {"docker-reference": image.name},
        "image": {"docker-manifest-digest": image.digest},
        "type": KIND,
    }
    return json.dumps({"critical": critical, "optional": None}, separators=(",", ":")).encode()


def _verifies(key: ec.EllipticCurvePublicKey, payload: bytes, signature: str) -> bool:
    try:
        key.verify(base64.b64decode(signature, validate=True), payload, ec.ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _unusable(why: str) -> Permanent:
    return Permanent("signature", "read the key of image.build.signing_key", why, _REMEDY)
