"""An image that is pinned: what the registry phase finds and the release phase runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from config.types import split_image


@dataclass(frozen=True)
class PinnedImage:
    """An image by its digest: what it is can no longer change."""

    registry: str
    repository: str
    digest: str

    @classmethod
    def parse(cls, reference: str) -> Self:
        """The image of a reference with a digest, as ``str`` writes it. Raises ValueError for any other text."""
        registry, repository, _, digest = split_image(reference)
        if digest is None:
            raise ValueError(f"not by digest: {reference!r}")
        return cls(registry, repository, digest)

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}"


@dataclass(frozen=True)
class PinnedImages:
    """The images that a hub runs: the users' ones, and the system's where the profile names them."""

    notebook: PinnedImage
    hub: PinnedImage | None
    proxy: PinnedImage | None
    offered: Mapping[str, PinnedImage] = field(default_factory=dict[str, PinnedImage])
    """What roles may offer, by their keys in the spec's ``images``."""
