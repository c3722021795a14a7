"""This machine's apt, over the packages and the sources of a base image: which archives a list stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.core.errors import Permanent
from tasks.core.process import run
from tasks.image.base import Base
from tasks.image.locks import Archive

APT_SECONDS = 300.0
STATUS = "var/lib/dpkg/status"
SOURCES = "etc/apt/sources.list"
OWN_SOURCES = Path("/etc/apt")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_URI = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+)_(?P<arch>[a-z0-9]+)\.deb \d+ (?:SHA256:(?P<sha256>[a-f0-9]{64}))?")
_UNKNOWN = re.compile(
    r"Unable to locate package \S+|Version '[^']+' for '[^']+' was not found|has no installation candidate"
)


@dataclass(frozen=True)
class Offer:
    """An archive, and where a mirror has it."""

    archive: Archive
    uri: str


def list_offers(base: Base, wanted: Sequence[str], say: Callable[[str], None]) -> tuple[Offer, ...]:
    """The archives that the base lacks of what is wanted, and of all that those depend on, without recommendations.

    ``wanted`` are names, or names with versions as ``git=1:2.39``. Raises Permanent for what no source has.
    """
    if not wanted:
        return ()
    with _apt(base) as words:
        say("apt-get update, with the base's sources")
        _run([*words, "update", "--quiet=2"])
        lines = _run([*words, "install", "--print-uris", "--quiet=2", "--yes", "--no-install-recommends", *wanted])
    found = [_parse(line) for line in lines.splitlines() if line.startswith("'")]
    return tuple(sorted(found, key=lambda offer: offer.archive.name))


def _run(argv: Sequence[str | Path]) -> str:
    remedy = "see that apt's sources answer (those of the base, or of this machine where it has none), then run again"
    try:
        return run(argv, timeout=APT_SECONDS, remedy=remedy).stdout
    except Permanent as error:
        unknown = _UNKNOWN.search(error.answered)
        if unknown:
            remedy = "correct the list of Debian packages; if it is right, run `python -m flows lock-image`"
            raise Permanent("apt-get", "find the packages", unknown[0], remedy) from None
        if "cannot be started" in error.answered:
            remedy = "run this on Debian or Ubuntu, or empty the list of Debian packages"
            raise Permanent("apt-get", "find the packages", error.answered, remedy) from None
        raise


def _parse(line: str) -> Offer:
    match = _URI.match(line)
    if match is None or not match["sha256"]:
        remedy = "let the source have SHA-256 sums: every mirror of today has"
        raise Permanent("apt-get", "tell an archive's hash", line, remedy)
    name, version = match["file"].split("_", 1)
    archive = Archive(name, version.replace("%3a", ":"), match["arch"], match["sha256"])
    return Offer(archive, match["uri"])


@contextmanager
def _apt(base: Base) -> Generator[list[str]]:
    """apt-get with settings that keep it within a folder of its own, and to what the base has installed."""
    with TemporaryDirectory(prefix="hubwright-apt-") as name:
        folder = Path(name)
        for part in ("state/lists/partial", "cache/archives/partial", "etc/sources.list.d", "keyrings"):
            (folder / part).mkdir(parents=True)
        (folder / "status").write_bytes(base.files.get(STATUS, b""))
        _write_sources(base, folder)
        settings = {
            "Dir::State": folder / "state",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Etc::sourcelist": folder / "etc/sources.list",
            "Dir::Etc::sourceparts": folder / "etc/sources.list.d",
            "APT::Architecture": ARCHITECTURES.get(base.machine, base.machine),
            "APT::Sandbox::User": "root",
            "Acquire::ForceHash": "SHA256",
            "Debug::NoLocking": "true",
        }
        yield ["apt-get", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))]


def _write_sources(base: Base, folder: Path) -> None:
    """The base's own sources; this machine's where it has none, as images of a closed network do."""
    own = {path: text for path, text in base.files.items() if path.startswith(SOURCES) and text.strip()}
    if not own:
        files = [OWN_SOURCES / "sources.list", *sorted((OWN_SOURCES / "sources.list.d").glob("*"))]
        own = {f"etc/apt/{file.relative_to(OWN_SOURCES)}": file.read_bytes() for file in files if file.is_file()}
    for path, text in own.items():
        (folder / "etc" / path.removeprefix("etc/apt/")).write_bytes(text)
