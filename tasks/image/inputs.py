"""Everything that decides what a build makes, and the hash by which it is known. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from config.images import PinnedImage
from tasks.image.context import split_context
from tasks.image.locks import Locks

CONTRACT = "docker-api-1.41/1"
"""What is spoken with the engine, and how often we changed what we ask of it: another one makes other images."""
SHOWN_DIGITS = 16


@dataclass(frozen=True)
class Inputs:
    """What the image is made from. Packages stand in the locks, which name each by its hash."""

    base: PinnedImage
    hub_version: str
    """Of the chart's hub, with which the image is tried."""
    cuda: bool
    files: Mapping[str, bytes] = field(repr=False)
    """The context's own files, by their path in it: Containerfile, tests, and the locks in their places."""
    locks: Locks = field(repr=False)

    @property
    def hash(self) -> str:
        """The same for the same inputs, on any machine."""
        whole = hashlib.sha256()
        settings = (CONTRACT, str(self.base), self.hub_version, str(self.cuda), self.locks.debian)
        parts = [
            *settings,
            *(f"{name} {hashlib.sha256(text).hexdigest()}" for name, text in sorted(self.files.items())),
        ]
        for part in parts:
            whole.update(hashlib.sha256(part.encode()).digest())
        return whole.hexdigest()

    @property
    def own(self) -> dict[str, bytes]:
        """The files that the image itself is built by."""
        return split_context(self.files)[0]

    @property
    def tests(self) -> dict[str, bytes]:
        """The files that it is tried by, as a context of their own."""
        return split_context(self.files)[1]

    @property
    def tag(self) -> str:
        """The tag of the image that is made from them, which never moves."""
        return f"inputs-{self.hash[:SHOWN_DIGITS]}"


def build_arguments(inputs: Inputs, about: Mapping[str, str]) -> dict[str, str]:
    """What the Containerfile is told. ``about`` is for labels alone, and no input: SOURCE, REVISION, CREATED."""
    return {
        "BASE": str(inputs.base),
        "CUDA": "yes" if inputs.cuda else "no",
        "BASE_NAME": inputs.base.name,
        "BASE_DIGEST": inputs.base.digest,
        "INPUTS": f"sha256:{inputs.hash}",
        **about,
    }
