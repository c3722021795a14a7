"""Bringing the sandbox up: builds, parts and contents, each as soon as what it needs is there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from deployments.flow_image import Wanted, ensure_flow_image
from deployments.sandbox.addresses import REGISTRY
from deployments.sandbox.binaries import ensure_binary
from deployments.sandbox.cgroup import ensure_cgroups
from deployments.sandbox.configuration import write_configuration
from deployments.sandbox.contents import (
    IMAGES,
    Pushed,
    ensure_chart,
    ensure_objects,
    ensure_pushed,
)
from deployments.sandbox.drawn import ensure_secrets
from deployments.sandbox.harbor.operations import ensure_user
from deployments.sandbox.images import ensure_image
from deployments.sandbox.installation import ensure_installation
from deployments.sandbox.jobs import Job, run_jobs
from deployments.sandbox.kernel import remember_settings
from deployments.sandbox.keycloak import ensure_keycloak
from deployments.sandbox.machine import check_machine, ensure_packages
from deployments.sandbox.network import ensure_network
from deployments.sandbox.ownership import sole_command, write_owner
from deployments.sandbox.packages import ensure_demo_packages
from deployments.sandbox.parts import OBJECTS, Part, all_parts
from deployments.sandbox.paths import PRIVATE_FOLDER, Paths
from deployments.sandbox.pki import ensure_keys
from deployments.sandbox.progress import Step, Steps
from deployments.sandbox.realm import ensure_realm
from deployments.sandbox.removal import check_owner, clear_leftovers
from deployments.sandbox.supervisor import Program, Supervisor
from tasks.core.errors import Permanent
from tasks.core.wait import wait_until

BINARIES = ("kubernetes", "coredns", "local-path-provisioner", "helm", "traefik")
"""In the order in which they are needed; one at a time, because one Go build keeps every core busy."""
KEYCLOAK = "kc.sh"
FLOW_IMAGE = f"{REGISTRY}/hubwright/flows"
FLOW_BASE = f"{REGISTRY}/library/debian-python:bookworm"
INSTALLED_ON = ("kubelet", "kube-proxy", "coredns", "local-path-provisioner", "traefik", "podman")
"""What Hubwright's own pods need of the cluster, and its image to be built."""


def bring_up(paths: Paths, steps: Steps) -> None:
    """All parts are healthy and have their contents; what was so already is left alone.

    Raises Refused before anything is touched, or the HubError of what failed first.
    """
    check_machine(paths)
    with sole_command(paths):
        check_owner(paths)
        clear_leftovers(paths, steps)
        with steps.step("Debian packages") as step:
            ensure_packages(step.waiting)
        with steps.step("folders, keys, network"):
            _prepare(paths)
        supervisor = Supervisor(paths)
        with steps.step("supervisor"):
            supervisor.ensure_running()
        run_jobs(all_jobs(paths, supervisor), steps)


def _prepare(paths: Paths) -> None:
    write_owner(paths)
    remember_settings(paths)
    paths.pki.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    for folder in (paths.logs, paths.volumes, paths.state / "keycloak", paths.podman / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
    for folder in (paths.state / "etcd", paths.harbor):
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    ensure_keys(paths)
    ensure_secrets(paths)
    write_configuration(paths)
    ensure_cgroups()
    ensure_network()


def all_jobs(paths: Paths, supervisor: Supervisor) -> list[Job]:
    """Everything to be done once the supervisor runs, each after what it needs."""
    return [
        *_chain([Job(_build(name), (), partial(_build_binary, name)) for name in BINARIES]),
        Job(_build(KEYCLOAK), (), partial(_build_binary, KEYCLOAK)),
        *_part_jobs([part for part in all_parts(paths) if OBJECTS not in part.needs], supervisor),
        Job(OBJECTS, ("kube-apiserver",), lambda _step: ensure_objects(paths)),
        *_part_jobs([part for part in all_parts(paths) if OBJECTS in part.needs], supervisor),
        *_chain([Job(_image(pushed), ("registry",), partial(_fill, paths, pushed)) for pushed in IMAGES]),
        Job("realm", ("keycloak",), lambda _step: ensure_realm(paths)),
        Job("Harbor's user", ("harbor",), lambda _step: ensure_user(paths)),
        Job("chart", ("registry", _build("helm")), partial(_push_chart, paths)),
        Job("packages", ("podman", _image(IMAGES[-1])), partial(_fetch_packages, paths)),
        Job("installation", (*INSTALLED_ON, _build("helm"), _image(IMAGES[-1])), partial(_install, paths)),
    ]


def _image(pushed: Pushed) -> str:
    return f"image {pushed.image}"


def _build(binary: str) -> str:
    return f"build {binary}"


def _chain(jobs: Sequence[Job]) -> list[Job]:
    """The same jobs, each also after the one before it."""
    later = [Job(job.name, (*job.needs, before.name), job.action) for before, job in pairwise(jobs)]
    return [*jobs[:1], *later]


def _part_jobs(parts: Sequence[Part], supervisor: Supervisor) -> list[Job]:
    return [
        Job(
            part.name,
            (*part.needs, _build(part.binary)) if part.binary else part.needs,
            partial(_start, part, supervisor),
        )
        for part in parts
    ]


def _build_binary(name: str, step: Step) -> None:
    step.waiting("its build")
    _executable(name, step)


def _fill(paths: Paths, pushed: Pushed, step: Step) -> None:
    layout = ensure_image(pushed.image, step.waiting)
    ensure_pushed(paths, pushed, layout, step.waiting)


def _push_chart(paths: Paths, step: Step) -> None:
    ensure_chart(paths, ensure_binary("helm", step.waiting), step.waiting)


def _fetch_packages(paths: Paths, step: Step) -> None:
    ensure_demo_packages(paths, step.waiting)


def _install(paths: Paths, step: Step) -> None:
    helm = ensure_binary("helm", step.waiting)
    wanted = Wanted(FLOW_IMAGE, FLOW_BASE, helm, str(paths.ca), engine=f"unix://{paths.podman_socket}")
    image = ensure_flow_image(wanted, step.waiting)
    ensure_installation(paths, helm, image, step.waiting)


def _start(part: Part, supervisor: Supervisor, step: Step) -> None:
    """The part runs as it is configured now, and its probe finds it healthy."""
    binary = (str(_executable(part.binary, step)),) if part.binary else ()
    argv = (*part.before, *binary, *part.argv)
    supervisor.ensure_started(Program(part.name, argv, part.environment, _version(part.files)))

    def probe() -> str:
        supervisor.check_runs(part.name)
        return part.probe()

    try:
        remedy = supervisor.advice(part.name)
        wait_until(part.name, "serve", probe, seconds=part.timeout, remedy=remedy, say=step.waiting)
    except Permanent as error:
        answered = f"{error.answered}; its last words:\n{supervisor.last_words(part.name)}"
        raise Permanent(error.system, error.asked, answered, error.remedy) from error


def _executable(name: str, step: Step) -> Path:
    if name == KEYCLOAK:
        return ensure_keycloak(step.waiting) / "bin" / KEYCLOAK
    return ensure_binary(name, step.waiting)


def _version(files: Sequence[Path]) -> str:
    """A word that changes with the contents of the files."""
    whole = hashlib.sha256()
    for file in files:
        whole.update(hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()[:16]
