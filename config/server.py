"""What one user's server gets."""

from __future__ import annotations

from typing import Annotated, Self

from kubernetes.utils.quantity import parse_quantity
from pydantic import Field, StringConstraints, model_validator

from config.part import Part
from config.types import Duration, ExtendedResource, ImageReference, Quantity


class Share(Part):
    """How much of one resource a server gets."""

    guarantee: Quantity = Field(description="What the scheduler sets aside.", examples=["100m"])
    limit: Quantity = Field(description="What it can never exceed.", examples=["1"])

    @model_validator(mode="after")
    def _guarantee_within_limit(self) -> Self:
        if parse_quantity(self.limit) <= 0:
            raise ValueError("a server could not start with a limit of nothing")
        if parse_quantity(self.guarantee) > parse_quantity(self.limit):
            raise ValueError(f"guarantee {self.guarantee} is more than limit {self.limit}")
        return self


class Gpu(Part):
    """GPUs for a server, offered as a choice of its own while a node of the cluster has some."""

    resource: ExtendedResource = Field(
        default="nvidia.com/gpu", description="What the nodes' device plugin calls them.", examples=["nvidia.com/gpu"]
    )
    count: Annotated[int, Field(ge=1, le=16)] = Field(
        default=1, description="GPUs for each server that asks for them.", examples=[1]
    )


class OfferedImage(Part):
    """A notebook image that some users may choose instead of the hub's own."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=80)] = Field(
        description="What users read.", examples=["Python with CUDA"]
    )
    reference: ImageReference = Field(
        description="Image by tag or digest.", examples=["registry.example.com/team/notebook-cuda:v1"]
    )


class Server(Part):
    """What one user's server gets."""

    cpu: Share = Field(description="CPU, in cores.")
    memory: Share = Field(description="Memory, in bytes.")
    gpu: Gpu | None = Field(
        default_factory=Gpu, description="The GPUs that users may choose, if nodes have any; null for never."
    )
    start_timeout: Duration = Field(default="5m", description="How long a server may take to start.", examples=["5m"])
    idle_timeout: Duration = Field(default="1h", description="A server idle for so long is stopped.", examples=["1h"])
