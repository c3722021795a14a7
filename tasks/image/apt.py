"""This machine's apt, over the packages and the sources of a base image: which archives a list stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.core.errors import Permanent, Transient
from tasks.core.process import run
from tasks.image.base import Base
from tasks.image.locks import Archive

APT_SECONDS = 300.0
STATUS = "var/lib/dpkg/status"
SOURCES = "etc/apt/sources.list"
KEYS = ("etc/apt/keyrings/", "etc/apt/trusted.gpg.d/", "usr/share/keyrings/")
TRUSTED = "etc/apt/trusted.gpg.d"
OWN_SOURCES = Path("/etc/apt")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_URI = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+)_(?P<arch>[a-z0-9]+)\.deb \d+ (?:SHA256:(?P<sha256>[a-f0-9]{64}))?")
_UNKNOWN = re.compile(
    r"Unable to locate package \S+|Version '[^']+' for '[^']+' was not found"
    r"|Package '[^']+' has no installation candidate"
)
_UNTRUSTED = ("is not signed", "NO_PUBKEY", "does not have a Release file", "EXPKEYSIG")


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
        _update(words)
        argv = [*words, "install", "--print-uris", "--quiet=2", "--yes", "--no-install-recommends", *wanted]
        lines = _find(argv).splitlines()
    found = [_parse(line) for line in lines if line.startswith("'")]
    return tuple(sorted(found, key=lambda offer: offer.archive.name))


def _update(words: Sequence[str]) -> None:
    """apt knows what each source has today. By itself it takes one that does not answer for one without packages."""
    asked = "ask the sources what they have"
    try:
        run([*words, "-o", "APT::Update::Error-Mode=any", "update", "--quiet=2"], timeout=APT_SECONDS, remedy="")
    except Permanent as error:
        if "cannot be started" in error.answered:
            remedy = "run this on Debian or Ubuntu, or empty the list of Debian packages"
            raise Permanent("apt-get", asked, error.answered, remedy) from None
        if any(text in error.answered for text in _UNTRUSTED):
            remedy = "correct apt's sources and their keys, of the base, or of this machine where the base has none"
            raise Permanent("apt-get", asked, error.answered, remedy) from None
        remedy = (
            "see that apt's sources answer (those of the base, or of this machine where it has none), then run again"
        )
        raise Transient("apt-get", asked, error.answered, remedy) from None


def _find(argv: Sequence[str]) -> str:
    asked, remedy = "find the packages", "correct the list of Debian packages, or take another base"
    try:
        return run(argv, timeout=APT_SECONDS, remedy=remedy).stdout
    except Permanent as error:
        unknown = _UNKNOWN.search(error.answered)
        if unknown:
            remedy = "correct the list of Debian packages; if it is right, run `python -m flows lock-image`"
        raise Permanent("apt-get", asked, unknown[0] if unknown else error.answered, remedy) from None


def _parse(line: str) -> Offer:
    match = _URI.match(line)
    if match is None or not match["sha256"]:
        remedy = "let the source have SHA-256 sums: every mirror of today has"
        # Its file's name alone: the address before it may have a password in it.
        file = next(iter(line.rpartition("' ")[2].split()), "")
        raise Permanent("apt-get", "tell an archive's hash", f"its source has none of {file}", remedy)
    name, version = match["file"].split("_", 1)
    archive = Archive(name, version.replace("%3a", ":"), match["arch"], match["sha256"])
    return Offer(archive, match["uri"])


@contextmanager
def _apt(base: Base) -> Generator[list[str]]:
    """apt-get with settings that keep it within a folder of its own, and to what the base has installed."""
    with TemporaryDirectory(prefix="hubwright-apt-") as name:
        folder = Path(name)
        for part in ("state/lists/partial", "cache/archives/partial", "etc/sources.list.d", "etc/preferences.d"):
            (folder / part).mkdir(parents=True)
        (folder / "status").write_bytes(base.files.get(STATUS, b""))
        _write_sources(base, folder)
        settings = {
            "Dir::State": folder / "state",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Etc::sourcelist": folder / "etc/sources.list",
            "Dir::Etc::sourceparts": folder / "etc/sources.list.d",
            # This machine's pins are for its own packages.
            "Dir::Etc::preferences": folder / "etc/preferences",
            "Dir::Etc::preferencesparts": folder / "etc/preferences.d",
            "APT::Architecture": ARCHITECTURES.get(base.machine, base.machine),
            "APT::Sandbox::User": "root",
            "Acquire::ForceHash": "SHA256",
            "Debug::NoLocking": "true",
        }
        if (folder / TRUSTED).exists():
            settings["Dir::Etc::trustedparts"] = folder / TRUSTED
        yield ["apt-get", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))]


def _write_sources(base: Base, folder: Path) -> None:
    """The base's own sources and keys; this machine's where it has none, as images of a closed network do."""
    own = {path: text for path, text in base.files.items() if path.startswith(SOURCES) and text.strip()}
    if not own:
        files = [OWN_SOURCES / "sources.list", *sorted((OWN_SOURCES / "sources.list.d").glob("*"))]
        own = {f"etc/apt/{file.relative_to(OWN_SOURCES)}": file.read_bytes() for file in files if file.is_file()}
    else:
        own = _with_keys(own, {path: key for path, key in base.files.items() if path.startswith(KEYS)}, folder)
    for path, text in own.items():
        (folder / "etc" / path.removeprefix("etc/apt/")).write_bytes(text)


def _with_keys(sources: Mapping[str, bytes], keys: Mapping[str, bytes], folder: Path) -> dict[str, bytes]:
    """The sources, naming the base's keys where they are now: another system than this machine's has others."""
    moved = dict(sources)
    for path, key in keys.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(key)
        moved = {name: text.replace(f"/{path}".encode(), str(place).encode()) for name, text in moved.items()}
    return moved
