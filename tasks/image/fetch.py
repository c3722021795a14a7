"""Bringing here what a lock names, checked by its hashes: builds need no network, and no setting gets into a layer."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.process import run
from tasks.image.apt import Offer, list_offers
from tasks.image.base import Base
from tasks.image.locks import Archive, Locks

FETCH_SECONDS = 1800.0
REQUEST_SECONDS = 60.0
RETRIES = 3
"""Of pip: with none at all it does not say that nobody answered, only that it found nothing."""
RELOCK = "run `python -m flows lock-image` for this profile, and look at what it changes"
OTHER = "DO NOT MATCH THE HASHES"
_GONE = ("No matching distribution found", "Could not find a version", OTHER)
_LOST = ("Connection", "timed out", "Temporary failure", "Max retries", "ProxyError")

Say = Callable[[str], None]


def cache_folder() -> Path:
    """Where packages are kept between builds; it may be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hubwright" / "packages"


def fetch_wheels(locks: Locks, base: Base, cache: Path, say: Say) -> Mapping[str, tuple[Path, ...]]:
    """The wheels of each list, on disk."""
    return {name: _fetch_list(name, text, base, cache, say) for name, text in locks.texts.items() if text.strip()}


def _fetch_list(name: str, text: str, base: Base, cache: Path, say: Say) -> tuple[Path, ...]:
    key = hashlib.sha256(f"{base.python} {base.platforms} {text}".encode()).hexdigest()[:16]
    folder = cache / f"{name}-{key}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}.", dir=cache) as unfinished:
            _finish(_download(name, text, base, Path(unfinished), say), folder)
    return tuple(sorted(folder.glob("*.whl")))


def _finish(wheels: Path, folder: Path) -> None:
    """All of them are in their place at once. Another run may have been faster: then they are the same ones."""
    try:
        wheels.rename(folder)
    except OSError:
        if not folder.exists():
            raise


def _download(name: str, text: str, base: Base, folder: Path, say: Say) -> Path:
    requirements, wheels = folder / "requirements.txt", folder / "wheels"
    requirements.write_text(text)
    wheels.mkdir()
    platforms = [word for tag in base.platforms for word in ("--platform", tag)]
    argv = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes",
        "--progress-bar=off", f"--retries={RETRIES}", "--implementation", "cp", "--python-version", base.python,
        *platforms,
        "--dest", wheels, "--requirement", requirements,
    ]  # fmt: skip
    try:
        run(argv, timeout=FETCH_SECONDS, remedy="see that pip on this machine can download packages", on_line=say)
    except Permanent as error:
        raise _pips_refusal(name, error.answered.replace(f"{folder}/", ""), error.remedy) from None
    return wheels


def _pips_refusal(name: str, answered: str, remedy: str) -> HubError:
    """What pip could not fetch is a lock that does not match, or a network that does not answer."""
    asked = f"download the packages of list {name}"
    # What came and is another one came: that a try before was cut off does not matter.
    if OTHER not in answered and any(words in answered for words in _LOST):
        return Transient("pip", asked, answered, "see that pip on this machine reaches its index, then run again")
    if any(words in answered for words in _GONE):
        return Permanent("pip", asked, f"the lock does not match: {answered}", RELOCK)
    return Permanent("pip", asked, answered, remedy)


def fetch_archives(locks: Locks, base: Base, cache: Path, say: Say) -> tuple[Path, ...]:
    """The archives of the Debian packages, on disk."""
    missing = [archive for archive in locks.archives if not _place(cache, archive).exists()]
    if missing:
        wanted = [f"{archive.name}={archive.version}" for archive in locks.archives]
        offers = {offer.archive: offer for offer in list_offers(base, wanted, say)}
        for archive in missing:
            if archive not in offers:
                answered = f"the lock does not match: apt does not have {archive}"
                raise Permanent("apt-get", "find the packages", answered, RELOCK)
            fetch_archive(offers[archive], cache, say)
    return tuple(_place(cache, archive) for archive in locks.archives)


def _place(cache: Path, archive: Archive) -> Path:
    version = archive.version.replace(":", "%3a")
    return cache / "debian" / archive.sha256[:16] / f"{archive.name}_{version}_{archive.architecture}.deb"


def fetch_archive(offer: Offer, cache: Path, say: Say) -> Path:
    """An archive that a mirror has, on disk. One that was there is not fetched again."""
    place = _place(cache, offer.archive)
    if not place.exists():
        _download_archive(offer, place, say)
    return place


def _download_archive(offer: Offer, place: Path, say: Say) -> None:
    say(f"download {place.name}")
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished, whole = place.with_suffix(f".{os.getpid()}"), hashlib.sha256()
    try:
        with httpx.stream("GET", offer.uri, timeout=REQUEST_SECONDS, follow_redirects=True) as answer:
            answer.raise_for_status()
            with unfinished.open("wb") as file:
                for piece in answer.iter_bytes():
                    whole.update(piece)
                    file.write(piece)
        if whole.hexdigest() != offer.archive.sha256:
            raise Permanent("mirror", f"download {place.name}", "its hash is another one", RELOCK)
        unfinished.replace(place)
    except httpx.HTTPError as error:
        # Not its text: an address may have a password in it.
        answered = str(error.response.status_code) if isinstance(error, httpx.HTTPStatusError) else type(error).__name__
        remedy = "see that this machine reaches apt's sources, then run again"
        raise Transient("mirror", f"download {place.name}", answered, remedy) from None
    finally:
        unfinished.unlink(missing_ok=True)
