"""An image that is pinned: what the registry phase finds and the release phase runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PinnedImage:
    """An image by its digest: what it is can no longer change."""

    registry: str
    repository: str
    digest: str

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}"


@dataclass(frozen=True)
class PinnedImages:
    """The images that a hub runs: the users' one, and the system's where the profile names them."""

    notebook: PinnedImage
    hub: PinnedImage | None
    proxy: PinnedImage | None
