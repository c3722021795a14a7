"""Where a secret lives. The secret itself is read by the task that uses it, and goes no further."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from config.part import Part
from config.types import DnsLabel, DnsSubdomain, SecretKey


class KubernetesSecretKey(Part):
    """One key of a Kubernetes Secret, in the cluster that the hub runs in."""

    namespace: DnsLabel = Field(description="Namespace of the Secret.", examples=["jupyterhub-test"])
    name: DnsSubdomain = Field(description="Name of the Secret.", examples=["hub-password"])
    key: SecretKey = Field(description="Key in the Secret's data.", examples=["password"])


class SecretRef(Part):
    """Exactly one of four places; a profile holds this, never a secret."""

    env: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = Field(
        default=None, description="Name of an environment variable where flows run.", examples=["HUB_PASSWORD"]
    )
    file: str | None = Field(
        default=None,
        description="Path of a file where flows run, from the project's folder; a newline at its end is left out.",
        examples=["/var/run/secrets/hub/password"],
        min_length=1,
    )
    kubernetes: KubernetesSecretKey | None = Field(default=None, description="A key of a Kubernetes Secret.")
    prefect_block: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$")] | None = Field(
        default=None, description="Name of a Secret block in Prefect.", examples=["hub-password"]
    )

    @model_validator(mode="after")
    def _exactly_one_place(self) -> Self:
        places = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(places) != 1:
            raise ValueError(
                "a secret lives in exactly one place: give one of env, file, kubernetes, prefect_block"
                + (f" (found {' and '.join(places)})" if places else "")
            )
        return self

    def __str__(self) -> str:
        """Where it lives, for messages."""
        if self.kubernetes:
            secret = self.kubernetes
            return f"key {secret.key} of Secret {secret.namespace}/{secret.name}"
        if self.file:
            return f"file {self.file}"
        return f"environment variable {self.env}" if self.env else f"Prefect Secret block {self.prefect_block}"
