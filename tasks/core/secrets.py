"""Reads the secret that a SecretRef names, inside the task that uses it."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from prefect.blocks.system import Secret
from pydantic import SecretStr

from config.secrets import KubernetesSecretKey, SecretRef
from tasks.core.errors import Permanent
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import SECRET


def read_secret(ref: SecretRef, kubernetes: Kubernetes) -> SecretStr:
    """The secret. Raises Permanent, naming the place and never its content, when it is missing or empty."""
    if ref.env:
        found = os.environ.get(ref.env, "")
    elif ref.file:
        found = _read_file(Path(ref.file), str(ref))
    elif ref.kubernetes:
        found = _read_kubernetes(ref.kubernetes, str(ref), kubernetes)
    else:
        found = _read_block(str(ref.prefect_block), str(ref))
    if not found:
        raise _missing(str(ref), "nothing is there")
    return SecretStr(found)


def mark_of(secrets: Sequence[SecretStr], salt: str) -> str:
    """Changes with the secrets and does not tell them: scrypt, slow on purpose, since people choose passwords."""
    text = "\0".join(secret.get_secret_value() for secret in secrets).encode()
    return hashlib.scrypt(text, salt=salt.encode(), n=2**14, r=8, p=1, dklen=16).hex()


def _missing(place: str, why: str) -> Permanent:
    return Permanent("secrets", f"read the {place}", why, "put the secret there, or change the profile's reference")


def _read_file(path: Path, place: str) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except OSError as error:
        raise _missing(place, str(error.strerror)) from error
    except UnicodeDecodeError:
        raise _missing(place, "is not UTF-8 text") from None


def _read_kubernetes(ref: KubernetesSecretKey, place: str, kubernetes: Kubernetes) -> str:
    secret = kubernetes.read(SECRET, ref.name, ref.namespace)
    try:
        return base64.b64decode((secret or {}).get("data", {}).get(ref.key, "")).decode()
    except UnicodeDecodeError:
        raise _missing(place, "is not UTF-8 text") from None


def _read_block(name: str, place: str) -> str:
    try:
        block = Secret.load(name)
    except ValueError:
        raise _missing(place, "there is no such block") from None
    assert isinstance(block, Secret)
    return str(block.get())
