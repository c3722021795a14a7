"""The sandbox's executables that no Debian package has, built from Go modules and cached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deployments.sandbox.cache import DIES_WITH_US, build_once, digest_of
from tasks.core.process import run

BUILD_SECONDS = 3600
VERSION_SECONDS = 30
MODULES = Path(__file__).parent / "go"
REMEDY = "see the go command's message; Go 1.26 or newer and a Go module proxy are needed"


@dataclass(frozen=True)
class Binary:
    """An executable: the package that it is built from, and settings for its linker.

    Its module is the folder of the same name under ``go/``, with every version and checksum.
    """

    name: str
    package: str
    link: str = ""


_VERSION = "k8s.io/component-base/version"
BINARIES = {
    binary.name: binary
    for binary in (
        Binary(
            "kubernetes",
            ".",
            # Without these it says v0.0.0, and clients that look at the version are misled.
            f"-X {_VERSION}.gitVersion=v1.34.4 -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=34",
        ),
        Binary("helm", "helm.sh/helm/v4/cmd/helm", "-X helm.sh/helm/v4/internal/version.version=v4.3.1"),
        Binary("coredns", "github.com/coredns/coredns"),
        Binary("local-path-provisioner", "github.com/rancher/local-path-provisioner"),
        Binary(
            "traefik",
            "github.com/traefik/traefik/v3/cmd/traefik",
            "-X github.com/traefik/traefik/v3/pkg/version.Version=3.6.12",
        ),
    )
}


def ensure_binary(name: str, on_line: Callable[[str], None]) -> Path:
    """Path of an executable, built when it is missing. Raises Permanent when it cannot be built."""
    binary = BINARIES[name]
    key = digest_of(MODULES / name, binary.package, binary.link, _go_version())
    return build_once("binaries", name, key, lambda folder: _build(binary, folder, on_line)) / name


def _go_version() -> str:
    return run(["go", "env", "GOVERSION"], timeout=VERSION_SECONDS, remedy="install Go 1.26 or newer").stdout


def _build(binary: Binary, folder: Path, on_line: Callable[[str], None]) -> None:
    link = f"-s -w {binary.link}".strip()
    flags = ["-trimpath", "-buildvcs=false", "-ldflags", link]
    run(
        [*DIES_WITH_US, "env", "CGO_ENABLED=0", "go", "build", *flags, "-o", folder / binary.name, binary.package],
        cwd=MODULES / binary.name,
        timeout=BUILD_SECONDS,
        remedy=REMEDY,
        on_line=on_line,
    )
