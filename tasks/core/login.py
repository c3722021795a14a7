"""As whom a registry is asked."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr


@dataclass(frozen=True)
class Login:
    """A name and its secret: a robot's, or a user's."""

    user: str
    secret: SecretStr
