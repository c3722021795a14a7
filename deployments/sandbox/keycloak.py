"""Keycloak: the distribution from Maven, prepared once for a machine, and how it is started."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

from deployments.sandbox.addresses import KEYCLOAK, KEYCLOAK_HEALTH_PORT, KEYCLOAK_PORT, NODE_IP
from deployments.sandbox.cache import DIES_WITH_US, build_once, digest_of
from deployments.sandbox.java import newest_java
from deployments.sandbox.paths import Paths
from tasks.core.process import run

VERSION = "26.7.0"
ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:tar.gz"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
BUILT_WITH = ("--db=dev-file", "--health-enabled=true", "--cache=local", "--http-relative-path=/")
"""Options that only `kc.sh build` takes; without one more build, Keycloak starts in half the time."""
FETCH_SECONDS = 900
BUILD_SECONDS = 300
HEAP = "-Xms64m -Xmx512m -XX:MaxMetaspaceSize=256m"
ADMIN = "admin"
_WITH_PASSWORD = 'KC_BOOTSTRAP_ADMIN_PASSWORD="$(cat "$1")"; export KC_BOOTSTRAP_ADMIN_PASSWORD; shift; exec "$@"'
"""A shell line: what is run has the file's content in its environment, and nobody else's configuration has it."""


def ensure_keycloak(on_line: Callable[[str], None]) -> Path:
    """Folder of a Keycloak that is ready to start. Raises Permanent when it cannot be had."""
    key = digest_of(ARTIFACT, *BUILT_WITH, str(java_home()))
    return build_once("keycloak", "keycloak", key, lambda folder: _build(folder, on_line)) / f"keycloak-{VERSION}"


def java_home() -> Path:
    """Where the machine's newest Java is."""
    java = newest_java()
    assert java, "check_machine found one"
    return java.home


def _build(folder: Path, on_line: Callable[[str], None]) -> None:
    java = {**os.environ, "JAVA_HOME": str(java_home())}
    goal = (PLUGIN, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}")
    run(
        [*DIES_WITH_US, "mvn", "--quiet", "--batch-mode", *goal],
        cwd=folder,
        env=java,
        timeout=FETCH_SECONDS,
        remedy="see Maven's message; a Maven repository with Keycloak is needed (proxy and mirror: ~/.m2/settings.xml)",
        on_line=on_line,
    )
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    archive.unlink()
    run(
        [*DIES_WITH_US, folder / f"keycloak-{VERSION}" / "bin" / "kc.sh", "build", *BUILT_WITH],
        env=java,
        timeout=BUILD_SECONDS,
        remedy="see Keycloak's message, then `make up` again",
        on_line=on_line,
    )


def keycloak_argv(paths: Paths) -> tuple[str, ...]:
    """How Keycloak is started, after the path of its ``kc.sh``. Its database is a file of the sandbox's state."""
    return (
        "start",
        "--optimized",
        f"--db-url=jdbc:h2:file:{paths.state}/keycloak/keycloak;NON_KEYWORDS=VALUE;DB_CLOSE_ON_EXIT=FALSE",
        f"--hostname={KEYCLOAK}",
        f"--http-host={NODE_IP}",
        f"--https-port={KEYCLOAK_PORT}",
        f"--https-certificate-file={paths.certificate('keycloak')}",
        f"--https-certificate-key-file={paths.key('keycloak')}",
        f"--http-management-port={KEYCLOAK_HEALTH_PORT}",
        "--http-management-scheme=http",
        f"--bootstrap-admin-username={ADMIN}",
    )


def with_password(paths: Paths) -> tuple[str, ...]:
    """What stands before the command, so that it knows the administrator's password."""
    return ("sh", "-c", _WITH_PASSWORD, "sh", str(paths.keycloak_admin))


def keycloak_environment() -> dict[str, str]:
    """Which Java runs it, and with how much memory."""
    return {"JAVA_HOME": str(java_home()), "JAVA_OPTS_KC_HEAP": HEAP}
