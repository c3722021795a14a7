"""`python -m deployments.flow_image`: the image that flows run in, built by the machinery of notebook images."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile

from pydantic import SecretStr

from config.images import PinnedImage
from config.types import split_image
from tasks.core.errors import HubError, Permanent
from tasks.core.login import Login
from tasks.image.base import MACHINES, Base
from tasks.image.client import Engine, pull_if_missing
from tasks.image.context import read_context, split_context, write_context
from tasks.image.fetch import cache_folder, fetch_wheels
from tasks.image.locks import Locks
from tasks.image.phase import source_revision
from tasks.registry.distribution import Registry

CLONE = Path(__file__).parents[1]
CONTEXT = CLONE / "image" / "flows"
SOURCES = ("config", "flows", "tasks", "deployments", "image/notebook")
LEFT_OUT = ("deployments/sandbox/", "deployments/demo.py")
"""Of no use in a cluster."""
BASE = "docker.io/library/python:3.11-slim-bookworm"
PYTHON = "3.11"
GLIBC = 36
"""Of Debian 12, the oldest base that the locked packages are for."""
LOCK = "requirements.txt"
LOCAL = "localhost/hubwright/flows"
BUILD_SECONDS = 1800.0
DONE, FAILED, BAD_INPUT = 0, 1, 3
SHOWN_DIGITS = 16

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """Where the image is pushed to, and what it is made with."""

    name: str
    """Registry and repository."""
    base: str
    helm: Path
    ca: str | None = None
    """Of the registries that hold the image and its base."""
    login: Login | None = None
    engine: str | None = None


def ensure_flow_image(wanted: Wanted, say: Say) -> PinnedImage:
    """The registry has the image of this source, tried in itself; nothing is built when it had.

    Its tag is the hash of what it is made from. Raises Permanent or Transient when it cannot be had.
    """
    registry, repository = wanted.name.split("/", 1)
    base = pin(wanted.base, wanted.ca)
    files = {**read_context(CONTEXT), **read_sources(CLONE)}
    tag = tag_of(base, files, wanted.helm)
    with closing(Registry(registry, wanted.ca, wanted.login)) as found:
        known = found.read_descriptor(repository, tag)
        if known is None:
            _build(wanted, base, files, tag, say)
            known = found.read_descriptor(repository, tag)
    if known is None:
        raise Permanent("registry", f"find {wanted.name}:{tag}", "it is not there after its push", "run again")
    return PinnedImage(registry, repository, known.digest)


def read_sources(clone: Path) -> dict[str, bytes]:
    """Every file that the image has of this working copy, by its path in the build context."""
    found = [file for name in SOURCES for file in sorted((clone / name).rglob("*")) if file.is_file()]
    names = {file.relative_to(clone).as_posix(): file for file in found if "__pycache__" not in file.parts}
    return {f"source/{name}": file.read_bytes() for name, file in names.items() if not name.startswith(LEFT_OUT)}


def tag_of(base: PinnedImage, files: Mapping[str, bytes], helm: Path) -> str:
    """The same for the same inputs, on any machine."""
    whole = hashlib.sha256(str(base).encode())
    for name, content in sorted(files.items()):
        whole.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    with helm.open("rb") as file:
        whole.update(hashlib.file_digest(file, "sha256").digest())
    return f"inputs-{whole.hexdigest()[:SHOWN_DIGITS]}"


def pin(reference: str, ca: str | None) -> PinnedImage:
    """An image that anybody may read, by its digest; a tag is looked up. Raises Permanent when there is none."""
    registry, repository, tag, digest = split_image(reference)
    if digest:
        return PinnedImage(registry, repository, digest)
    with closing(Registry(registry, ca)) as found:
        return PinnedImage(registry, repository, found.read_digest(repository, str(tag)))


def _build(wanted: Wanted, base: PinnedImage, files: Mapping[str, bytes], tag: str, say: Say) -> None:
    """The image is in the registry: built, tried, and pushed."""
    own, tests = split_context(files)
    with Engine.connect(wanted.engine, BUILD_SECONDS) as engine:
        pull_if_missing(engine, str(base), None, say)
        machine = MACHINES[engine.read_architecture(str(base))]
        packages = {**_wheels(files[LOCK].decode(), base, machine, say), "helm": wanted.helm}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        about = {"BASE": str(base), "REVISION": source_revision(), "CREATED": now, "INPUTS": tag}
        _run_build(engine, own, packages, f"{LOCAL}:image", about, say)
        _run_build(engine, tests, {}, f"{LOCAL}:trial", {"IMAGE": f"{LOCAL}:image"}, say)
        engine.push(f"{LOCAL}:image", wanted.name, tag, wanted.login, say)


def _wheels(lock: str, base: PinnedImage, machine: str, say: Say) -> dict[str, Path]:
    """The wheels of the lock, by their paths in the build context."""
    locks = Locks(PYTHON, machine, {}, {"flows": lock}, (), {})
    found = fetch_wheels(locks, Base(base, PYTHON, machine, GLIBC, {}), cache_folder(), say)
    return {f"wheels/{wheel.name}": wheel for wheel in found["flows"]}


def _run_build(
    engine: Engine, files: Mapping[str, bytes], packages: Mapping[str, Path], tag: str, arguments: Mapping[str, str],
    say: Say,
) -> None:  # fmt: skip
    with TemporaryFile(prefix="hubwright-context-") as context:
        write_context(files, packages, (), context)
        engine.build(context, tag, arguments, lambda step: say(step.what), say)


def main(arguments: Sequence[str]) -> int:
    """Prints the image by digest. Returns an exit code: 0 done, 1 failed, 3 bad input."""
    options = _parser().parse_args(arguments)
    helm = options.helm or shutil.which("helm")
    password = os.environ.get(options.password_env or "", "")
    if not helm or not Path(helm).is_file():
        print("helm is not in PATH: the image needs one, of 3.14 or newer; or give --helm FILE", file=sys.stderr)
        return BAD_INPUT
    if bool(options.user) != bool(password):
        print("give --user and, in a variable that --password-env names, its password", file=sys.stderr)
        return BAD_INPUT
    login = Login(options.user, SecretStr(password)) if options.user else None
    wanted = Wanted(options.registry, options.base, Path(helm), options.ca, login, options.engine)
    try:
        image = ensure_flow_image(wanted, lambda line: print(line, file=sys.stderr))
    except HubError as error:
        print(error, file=sys.stderr)
        return FAILED
    print(image)
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deployments.flow_image", description="Build the flows' image.")
    parser.add_argument(
        "--registry", required=True, type=_repository, metavar="HOST/REPOSITORY", help="where it is pushed to"
    )
    parser.add_argument("--base", default=BASE, type=_reference, help=f"a Debian with Python 3.11 (default: {BASE})")
    parser.add_argument("--helm", metavar="FILE", help="the helm that flows run (default: that in PATH)")
    parser.add_argument("--ca", metavar="FILE", help="CA that signed the registries' certificates")
    parser.add_argument("--engine", metavar="ADDRESS", help="container engine (default: DOCKER_HOST)")
    parser.add_argument("--user", help="who pushes; without it, nobody signs in")
    parser.add_argument("--password-env", metavar="NAME", help="variable with that user's password")
    return parser


def _repository(text: str) -> str:
    return _reference(f"{text}:tag").removesuffix(":tag")


def _reference(text: str) -> str:
    """An image, as every engine understands it. Raises ValueError for other text."""
    if not any(split_image(text)[2:]):
        raise ValueError(text)
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
