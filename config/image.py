"""The notebook image, and how it is built."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from config.images import PinnedImage
from config.part import Part
from config.secrets import SecretRef
from config.types import DebianName, Duration, HttpUrl, ImageReference, split_image

OWN_LIST = "own"
"""The list of ``packages``."""
DEBIAN_LIST = "debian"
"""The list of Debian packages, in ``lists`` like any other of the context."""
CUDA_LIST = "cuda"

Requirement = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][^\s#;]*( *[<>=!~][^\s#;]*)*$", max_length=200)]
"""A Python package as pip's requirements name it."""

ListFile = Annotated[str, StringConstraints(pattern=r"^([^/\x00]*/)*[a-z][-a-z0-9]*\.txt$", max_length=512)]
"""A file of pip requirements; its name without .txt is the list's."""


class Build(Part):
    """What the image is built from. Every package stands in a lock, which ``python -m flows lock-image`` writes."""

    base: ImageReference = Field(
        description="Image below it, by tag or digest. A tag is looked up, and another digest is a change.",
        examples=["quay.io/jupyter/minimal-notebook:hub-5.4.3"],
    )
    base_ca: str | None = Field(
        default=None,
        description="File with the CA that signed the certificate of the base's registry; without it the system's.",
        examples=["/etc/ssl/certs/company-ca.crt"],
    )
    context: str = Field(
        default="image/notebook",
        description="Folder of the Containerfile, the tests that run in the image, and the list of Debian packages.",
        examples=["image/notebook"],
    )
    lists: tuple[ListFile, ...] = Field(
        default=(
            "image/notebook/lists/data-science.txt",
            "image/notebook/lists/jupyterlab.txt",
            "image/notebook/lists/development.txt",
        ),
        description="Lists of Python packages, each a layer of the image, in this order.",
        examples=[["image/notebook/lists/data-science.txt", "lists/our-team.txt"]],
    )
    packages: tuple[Requirement, ...] = Field(
        default=(), description="More Python packages, in a layer of their own.", examples=[["polars>=1.30"]]
    )
    debian_packages: tuple[DebianName, ...] = Field(
        default=(), description="More Debian packages, by name.", examples=[["graphviz"]]
    )
    cuda: bool = Field(default=False, description="Whether it has what NVIDIA's GPUs need.", examples=[True])
    locks: str = Field(
        description="Folder of the locks, one for each list, made for this base.",
        examples=["image/notebook/locks/thinkube"],
    )
    engine: Annotated[str, StringConstraints(pattern=r"^(unix|tcp|https?)://\S+$")] | None = Field(
        default=None,
        description="Where Podman's Docker-compatible API answers, or a Docker daemon; without it DOCKER_HOST says.",
        examples=["unix:///run/podman/podman.sock"],
    )
    source: HttpUrl | None = Field(
        default=None,
        description="Where the image's source is, for its label org.opencontainers.image.source.",
        examples=["https://git.example.com/platform/hubwright"],
    )
    timeout: Duration = Field(default="1h", description="How long a build or a push may take.", examples=["1h"])
    signing_key: SecretRef | None = Field(
        default=None, description="Private key (PEM, PKCS 8, ECDSA P-256) that signs the image in cosign's format."
    )

    @model_validator(mode="after")
    def _each_list_once(self) -> Self:
        names = [PurePosixPath(file).stem for file in self.lists]
        for name in names:
            if names.count(name) > 1 or name in (OWN_LIST, DEBIAN_LIST, CUDA_LIST):
                raise ValueError(f"lists: the name {name} is taken: call the file something else")
        return self

    @model_validator(mode="after")
    def _locks_have_a_folder_of_their_own(self) -> Self:
        lists = {PurePosixPath(file).parent for file in self.lists} | {PurePosixPath(self.context, "lists")}
        if PurePosixPath(self.locks) in lists:
            raise ValueError(f"locks: lists are in {self.locks}, and a lock has its list's name: take another folder")
        return self


class Image(Part):
    """The notebook image that users' servers run."""

    reference: ImageReference = Field(
        description="Image by tag or digest. A tag is looked up, and what runs is its digest.",
        examples=["registry.example.com/iav/base-notebook:v1"],
    )
    build: Build | None = Field(
        default=None, description="How rebuild-image makes it; without it, somebody else pushes it."
    )

    @property
    def name(self) -> str:
        """Registry and repository, without tag or digest."""
        registry, repository = split_image(self.reference)[:2]
        return f"{registry}/{repository}"

    @property
    def tag(self) -> str:
        """The tag that the profile names; empty where it names a digest."""
        return split_image(self.reference)[2] or ""

    def pinned(self, digest: str) -> PinnedImage:
        """The image of this repository that has the digest."""
        registry, repository = split_image(self.reference)[:2]
        return PinnedImage(registry, repository, digest)
