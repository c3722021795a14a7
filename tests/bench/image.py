"""What a rebuild of the image costs: when nothing changed, and beside podman alone when a package was added."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import median
from tarfile import TarFile
from tempfile import TemporaryDirectory
from uuid import UUID

from kubernetes import client
from prefect.logging import disable_run_logger

from config.images import PinnedImage
from config.profiles import load_profile
from config.spec import Hub
from deployments.sandbox.addresses import HARBOR, REGISTRY
from deployments.sandbox.harbor.operations import connect
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import NAMESPACE
from tasks.core.robots import read_build_robot
from tasks.image.client import EPOCH, Engine
from tasks.image.context import TESTS, write_context
from tasks.image.inputs import Inputs, build_arguments
from tasks.image.phase import FOLDERS, fetch_packages, gather_inputs, read_base
from tasks.registry.phase import pin_base
from tests.bench.measure import Ended, read_times, run
from tests.bench.report import Figure
from tests.sandbox.conftest import Profile, Sandbox

ROUNDS = 3
LIST = "matplotlib\npandas\nscipy\n"
ADDED = ("humanize", "tabulate")
"""A package more for each round; the first is a round that fills caches."""
SCIPY_GIGABYTES = 2.77
"""jupyter/scipy-notebook, unpacked, as docker-stacks' own build showed it (pull request 1825, November 2022)."""
SECONDS = 900
UNBOUND = float("inf")


def image(sandbox: Sandbox) -> Iterator[Figure]:
    """An image of a project of its own, which is deleted afterwards."""
    with _profile(sandbox) as profile, _plain_podman(sandbox) as podman:
        added = list(_added(sandbox, profile, podman))
        yield from _nothing_changed(sandbox, profile, added[-1].ours.memory)
        ours, theirs = (median(getattr(one, name) for one in added) for name in ("published", "plain"))
        yield Figure.ratio("one package added, beside podman build and push", "s", ours, theirs, 1.1)
    yield from _size(sandbox)


@dataclass(frozen=True)
class _Added:
    """A round: the flow's run, how long it took to publish, and how long podman alone did."""

    ours: Ended
    published: float
    plain: float


def _added(sandbox: Sandbox, profile: Profile, podman: _Podman) -> Iterator[_Added]:
    for number in range(len(ADDED) + 1):
        print(f"a package added, round {number} of {len(ADDED)}", flush=True)
        build = {**profile.text["image"]["build"], "packages": list(ADDED[:number])}
        profile.change(image={"build": build})
        _flow(sandbox, profile, "lock-image")
        hub = load_profile(str(profile))
        inputs, packages = _inputs(hub)
        ours = _flow(sandbox, profile, "rebuild-image")
        published = _times(sandbox, ours)[1]["publish image"]
        plain = podman.publish(hub, inputs, packages)
        if number:
            yield _Added(ours, published, plain)


def _nothing_changed(sandbox: Sandbox, profile: Profile, building: float) -> Iterator[Figure]:
    seconds: list[float] = []
    memory: list[float] = []
    writes = 0
    for number in range(ROUNDS):
        print(f"nothing changed, round {number + 1} of {ROUNDS}", flush=True)
        since, start = time.time(), sandbox.audit.now()
        ended = _flow(sandbox, profile, "rebuild-image")
        seconds.append(_times(sandbox, ended)[0])
        memory.append(ended.memory)
        writes += len(sandbox.audit.writes(start, profile.namespace, ("hubwright",))) + _harbor_writes(sandbox, since)
    yield Figure("rebuild, nothing changed: writes", "", writes, 0, 0.0, writes == 0)
    yield Figure.ratio("rebuild, nothing changed: decided within 2 s", "s", median(seconds), 2.0, 1.0)
    yield Figure.ratio("rebuild: memory of a build beside none", "MB", building, median(memory), 1.25)


def _size(sandbox: Sandbox) -> Iterator[Figure]:
    """Of the demo's image, which has the libraries of scipy-notebook, and more."""
    found = load_profile("sandbox").image.name
    with Engine.connect(sandbox.environment["DOCKER_HOST"], SECONDS) as engine:
        sizes = [size for name, size in engine.list_sizes() if name.startswith(f"{found}:")]
    if sizes:
        yield Figure.ratio("the demo's image beside scipy-notebook's", "GB", max(sizes) / 1e9, SCIPY_GIGABYTES, 1.0)
    else:
        print("the demo's image is not here (make demo): its size is not compared", flush=True)


def _inputs(hub: Hub) -> tuple[Inputs, Mapping[str, Path]]:
    """What the flow will build from. Its packages are here afterwards: downloads are not what is compared."""
    with disable_run_logger():
        base: PinnedImage = pin_base.fn(hub)
        inputs = gather_inputs.fn(hub, base, "5.5.0")
        return inputs, fetch_packages.fn(hub, inputs, read_base.fn(hub, base))


def _flow(sandbox: Sandbox, profile: Profile, *words: str) -> Ended:
    return run(sandbox.command(*words, str(profile)), sandbox.environment)


def _times(sandbox: Sandbox, ended: Ended) -> tuple[float, Mapping[str, float]]:
    """Seconds of the flow, and of each of its tasks."""
    found = re.search(r"flow-run/([0-9a-f-]{36})", ended.stderr)
    assert found, ended.stderr
    return read_times(sandbox, UUID(found[1]), "tag image")


def _harbor_writes(sandbox: Sandbox, since: float) -> int:
    with connect(sandbox.paths) as harbor:
        rows = harbor.get("/test/requests", params={"since": str(since)}).raise_for_status().json()
    return sum(1 for row in rows if row["method"] not in ("GET", "HEAD"))


@dataclass(frozen=True)
class _Podman:
    """The podman command with a storage of its own."""

    sandbox: Sandbox
    folder: Path

    def publish(self, hub: Hub, inputs: Inputs, packages: Mapping[str, Path]) -> float:
        """Build and push the same context by hand; returns the seconds that it took."""
        context = self.folder / "context"
        shutil.rmtree(context, ignore_errors=True)
        packed = BytesIO()  # with the tests in it: as somebody has it in a folder
        write_context(inputs.files, packages, ("debian", *(f"packages/{name}" for name in FOLDERS)), packed)
        with TarFile(fileobj=packed) as archive:
            archive.extractall(context, filter="data")
        robot = read_build_robot(hub, Kubernetes.connect())
        target = f"{hub.image.name}:plain"
        arguments = build_arguments(inputs, {"CREATED": str(time.time())})
        words = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
        started = time.monotonic()
        common = ("build", "--isolation=chroot", "--network=host", f"--timestamp={EPOCH}", "--layers")
        self._run(*common, f"--tag={target}", "--cert-dir", self._trust(REGISTRY), *words, str(context))
        tried = (f"--build-arg=IMAGE={target}", f"--build-arg=HUB_VERSION={inputs.hub_version}")
        self._run(*common, "--pull=never", "--tag=localhost/trial", *tried, str(context / TESTS))
        login = f"{robot.user}:{robot.secret.get_secret_value()}"
        self._run("push", "--quiet", "--cert-dir", self._trust(HARBOR), f"--creds={login}", target)
        return time.monotonic() - started

    def _trust(self, host: str) -> str:
        return str(self.sandbox.paths.config / "registries" / host)

    def _run(self, *words: str) -> None:
        done = subprocess.run(
            ["podman", *words], env=self._environment(), capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, (words[0], done.stderr[-3000:])

    def _environment(self) -> dict[str, str]:
        storage, settings = self.folder / "storage.conf", self.folder / "containers.conf"
        own = (self.sandbox.paths.config / settings.name).read_text()
        settings.write_text(re.sub(r'(tmp_dir) = ".*"', rf'\1 = "{self.folder}/run"', own))
        where = {"graphroot": self.folder / "storage", "runroot": self.folder / "run"}
        lines = ["[storage]", 'driver = "overlay"', *(f'{key} = "{path}"' for key, path in where.items())]
        storage.write_text("\n".join(lines) + "\n")
        given = {"CONTAINERS_CONF": settings, "CONTAINERS_STORAGE_CONF": storage}
        return {**os.environ, **{key: str(value) for key, value in given.items()}, "TMPDIR": str(self.folder)}


@contextmanager
def _plain_podman(sandbox: Sandbox) -> Generator[_Podman]:
    with TemporaryDirectory(prefix="hubwright-bench-") as name:
        podman = _Podman(sandbox, Path(name))
        try:
            yield podman
        finally:
            # Its mounts first: the folder could not be removed otherwise.
            subprocess.run(
                ["podman", "system", "reset", "--force"],
                env=podman._environment(), capture_output=True, timeout=SECONDS, check=False,
            )  # fmt: skip


@contextmanager
def _profile(sandbox: Sandbox) -> Generator[Profile]:
    """A profile with a namespace and a project of its own, which are deleted afterwards."""
    name = f"bench-{os.urandom(4).hex()}"
    with TemporaryDirectory() as folder:
        (Path(folder) / "stack.txt").write_text(LIST)
        own = Profile(Path(folder) / f"{name}.yaml", name, Path(), {"extends": "sandbox", "name": name})
        build = {"lists": [f"{folder}/stack.txt"], "locks": f"{folder}/locks"}
        own.change(cluster={"namespace": name}, image={"reference": f"{HARBOR}/{name}/notebook:v1", "build": build})
        try:
            yield own
        finally:
            _forget(sandbox, name)


def _forget(sandbox: Sandbox, name: str) -> None:
    with connect(sandbox.paths) as harbor:
        for path in (f"{name}/repositories/notebook", name):
            harbor.delete(f"/api/v2.0/projects/{path}")
            harbor.cookies.clear()
    if sandbox.kubernetes.read(NAMESPACE, name, None):
        client.CoreV1Api(sandbox.api()).delete_namespace(name)
