"""Resolving lists to locks, by this machine's own clients: uv for Python packages, apt for Debian's."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.process import run
from tasks.image.apt import list_offers
from tasks.image.base import Base
from tasks.image.lists import PackageList
from tasks.image.locks import Locks, pins

RESOLVE_SECONDS = 600.0
_LOST = ("error sending request", "Request failed after", "HTTP status server error")
_UNTRUSTED = "invalid peer certificate"
INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX")


def resolve(base: Base, lists: Sequence[PackageList], debian: PackageList, say: Callable[[str], None]) -> Locks:
    """The newest packages that the lists ask for and that go with the base, and with those of the lists before.

    Raises Permanent when there are none such.
    """
    fixed, texts = dict(base.packages), dict[str, str]()
    for one in lists:
        say(f"resolve list {one.name}")
        texts[one.name] = _resolve_list(base, one, fixed)
        fixed |= dict(pins(texts[one.name]))
    archives = tuple(offer.archive for offer in list_offers(base, debian.requirements, say))
    hashes = {one.name: one.hash for one in (*lists, debian)}
    return Locks(base.python, base.machine, hashes, texts, archives, base.packages)


def _resolve_list(base: Base, one: PackageList, fixed: Mapping[str, str]) -> str:
    """pip's requirements with hashes, of what is not there yet."""
    with TemporaryDirectory(prefix="hubwright-lock-") as name:
        source, constraints = Path(name) / f"{one.name}.in", Path(name) / "constraints.txt"
        source.write_text("\n".join(one.requirements) + "\n")
        constraints.write_text("".join(f"{package}=={version}\n" for package, version in sorted(fixed.items())))
        there = [word for package in sorted(fixed) for word in ("--no-emit-package", package)]
        argv = [
            sys.executable, "-m", "uv", "pip", "compile", source, "--constraint", constraints, *there,
            "--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate", "--only-binary", ":all:",
            "--python-version", base.python, "--python-platform", f"{base.machine}-manylinux_2_{base.glibc}", "--quiet",
        ]  # fmt: skip
        remedy = f"correct list {one.name}: change what it asks for, or take another base"
        try:
            return run(argv, timeout=RESOLVE_SECONDS, remedy=remedy, env=_environment()).stdout
        except Permanent as error:
            raise _uvs_refusal(one.name, error.answered.replace(f"{name}/", ""), remedy) from None


def _uvs_refusal(name: str, answered: str, remedy: str) -> HubError:
    """What uv cannot resolve is a list that asks for too much, or an index that does not answer."""
    asked = f"resolve list {name}"
    if _UNTRUSTED in answered:
        return Permanent("uv", asked, answered, "name the file of the CA that signed the index's in SSL_CERT_FILE")
    if any(words in answered for words in _LOST):
        return Transient("uv", asked, answered, "see that uv on this machine reaches its index, then run again")
    return Permanent("uv", asked, answered, remedy)


def _environment() -> dict[str, str]:
    """uv does not read pip's settings: what stands in pip's file counts where uv has none of its own."""
    given = dict(os.environ)
    if not any(name in given for name in INDEXES) and (index := given.get("PIP_INDEX_URL") or _pips_index()):
        given["UV_DEFAULT_INDEX"] = index
    if "SSL_CERT_FILE" not in given and (authority := given.get("PIP_CERT")):
        given["SSL_CERT_FILE"] = authority
    return given


def _pips_index() -> str:
    try:
        argv = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
        return run(argv, timeout=RESOLVE_SECONDS, remedy="").stdout.strip()
    except Permanent:
        return ""  # pip has none either
