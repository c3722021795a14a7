"""The signature of an image: made and verified by the same key only, and no key is ever quoted."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)
from pydantic import SecretStr

from config.images import PinnedImage
from tasks.core.errors import Permanent
from tasks.image.signature import SigningKey, read_key, signing_payload

IMAGE = PinnedImage("registry.example.com", "iav/base-notebook", "sha256:" + "a" * 64)


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes = b"") -> str:
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden).decode()


MADE = ec.generate_private_key(ec.SECP256R1())
OTHER = SigningKey(ec.generate_private_key(ec.SECP256R1()))


def test_the_payload_is_cosigns_to_the_letter() -> None:
    assert signing_payload(IMAGE).decode() == (
        '{"critical":{"identity":{"docker-reference":"registry.example.com/iav/base-notebook"},'
        f'"image":{{"docker-manifest-digest":"{IMAGE.digest}"}},'
        '"type":"cosign container image signature"},"optional":null}'
    )
    assert json.loads(signing_payload(IMAGE))["optional"] is None


def test_a_signature_verifies_by_its_key_for_its_payload_and_nothing_else() -> None:
    key, payload = read_key(SecretStr(pem(MADE))), signing_payload(IMAGE)
    signature = key.sign(payload)
    assert signature != key.sign(payload)
    assert key.verifies(payload, signature)
    assert not key.verifies(payload + b" ", signature)
    assert not OTHER.verifies(payload, signature)


def test_whoever_has_the_public_key_can_verify() -> None:
    key, payload = read_key(SecretStr(pem(MADE))), signing_payload(IMAGE)
    public = load_pem_public_key(key.public_pem().encode())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(base64.b64decode(key.sign(payload)), payload, ec.ECDSA(SHA256()))


@pytest.mark.parametrize("signature", ["", "no base64", "AAAA", base64.b64encode(bytes(64)).decode(), "ä"])
def test_what_is_no_signature_does_not_verify(signature: str) -> None:
    assert not OTHER.verifies(b"payload", signature)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no private key"),
        ("secret-text", "no private key"),
        (pem(MADE)[:-40], "no private key"),
        (pem(MADE).replace("PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY"), "no private key"),
        (pem(MADE, b"word"), "encrypted"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "another kind"),
        (pem(rsa.generate_private_key(65537, 2048)), "another kind"),
        ("schlüssel", "no private key"),
    ],
)
def test_what_is_no_key_is_told_without_quoting_it(text: str, why: str) -> None:
    with pytest.raises(Permanent) as error:
        read_key(SecretStr(text))
    assert error.value.system == "signature"
    assert why in error.value.answered
    assert not text or text not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_a_key_is_not_shown() -> None:
    key = read_key(SecretStr(pem(MADE)))
    assert repr(key) == "SigningKey()"
