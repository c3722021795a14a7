"""What goes wrong with an engine, a build and a push: each with its own words, and tried again only when that helps."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from config.images import PinnedImage
from deployments.sandbox.addresses import HARBOR, REGISTRY
from deployments.sandbox.configuration import render_configuration
from tasks.core.errors import Permanent, Transient
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import NAMESPACE, WantedObject
from tasks.core.robots import read_build_robot
from tasks.core.wait import wait_until
from tasks.image import preflight
from tasks.image.client import Engine
from tasks.image.phase import BuiltImage, build_image, check_engine, fetch_packages, push_image, read_base
from tasks.registry.distribution import Registry
from tasks.registry.images import confirm_push, find_image, tag_image
from tasks.registry.phase import ensure_policies, ensure_project, ensure_robots
from tests.sandbox.conftest import Sandbox
from tests.sandbox.image.conftest import Own, in_a_flow
from tests.sandbox.registry.conftest import FENCE, Admin

NOBODY = 65534
SMALL_DISK = "400m"
"""Less than the base takes."""
SECONDS = 120.0


@pytest.fixture(scope="module")
def image(own: Own) -> BuiltImage:
    """The hub's image, built and not pushed, with Harbor set up for it."""
    own.sandbox.kubernetes.ensure(WantedObject(NAMESPACE, own.profile.namespace, None))
    with in_a_flow(own.sandbox):
        _set_up(own)
        return own.built()


def _set_up(own: Own) -> None:
    for task in (ensure_project, ensure_robots, ensure_policies):
        task.fn(own.hub, FENCE)


@pytest.fixture
def well(own: Own, admin: Admin) -> Generator[None, None, None]:
    """Whatever a test does to Harbor, it is well afterwards."""
    yield
    admin.ask("POST", "/test/reset")
    _set_up(own)


# The engine.


def test_an_engine_that_is_not_there_is_told(own: Own, tmp_path: Path) -> None:
    own.build(engine=f"unix://{tmp_path}/none.sock")
    with pytest.raises(Permanent, match="there is no such socket") as raised:
        check_engine.fn(own.hub)
    assert "start Podman's service" in raised.value.remedy
    own.build(engine=None)


def test_a_socket_that_nobody_listens_at_is_told(own: Own, tmp_path: Path) -> None:
    path = tmp_path / "dead.sock"
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(path))
    own.build(engine=f"unix://{path}")
    with pytest.raises(Transient, match="does not answer"):
        check_engine.fn(own.hub)
    own.build(engine=None)


def test_somebody_who_may_not_write_to_the_socket_is_told(own: Own) -> None:
    code = (
        f"import os\nfrom tasks.image.client import Engine\nos.setuid({NOBODY})\n"
        f"with Engine.connect({own.sandbox.environment['DOCKER_HOST']!r}, 5): pass"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(
        argv, cwd=own.sandbox.paths.clone, env=own.sandbox.environment, capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert "permission denied" in done.stderr
    assert "a user who may write to that socket" in done.stderr


def test_an_engine_that_is_nearly_full_is_told_before_anything_is_built(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "ROOM", 2**60)
    [problem] = check_engine.fn(own.hub)
    assert "GiB are free for images" in problem.found
    assert "podman image prune" in problem.remedy


def test_a_disk_that_fills_up_on_the_way_is_told(own: Own, tmp_path: Path) -> None:
    base = str(own.base.image)
    with (
        _small_podman(own.sandbox, tmp_path) as address,
        Engine.connect(address, SECONDS) as engine,
        pytest.raises(Permanent, match="no space left") as raised,
    ):
        engine.pull(base, None, lambda _line: None)
    assert "free some disk" in raised.value.remedy


@contextmanager
def _small_podman(sandbox: Sandbox, folder: Path) -> Generator[str]:
    """Another Podman, whose storage is on a small disk of its own."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "none", str(disk)], check=True, timeout=SECONDS)
    try:
        with _podman(sandbox, folder, disk) as address:
            yield address
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=False, timeout=SECONDS, capture_output=True)


@contextmanager
def _podman(sandbox: Sandbox, folder: Path, disk: Path) -> Generator[str]:
    """Another Podman than the sandbox's, with what it keeps on a disk."""
    settings = render_configuration(sandbox.paths)
    for name in ("containers.conf", "storage.conf"):
        text = settings[name].replace(str(sandbox.paths.podman), str(disk))
        (folder / name).write_text(text.replace(f"{sandbox.paths.run}/podman", str(folder / "run")))
    (disk / "tmp").mkdir(exist_ok=True)
    (folder / "podman.sock").unlink(missing_ok=True)
    address = f"unix://{folder}/podman.sock"
    given = {"CONTAINERS_CONF": "containers.conf", "CONTAINERS_STORAGE_CONF": "storage.conf"}
    environment = {key: str(folder / name) for key, name in given.items()}
    own = {**environment, "TMPDIR": str(disk / "tmp"), "SSL_CERT_FILE": str(sandbox.paths.ca)}
    running = subprocess.Popen(
        ["podman", "system", "service", "--time=0", address], stderr=subprocess.DEVNULL,
        env={**sandbox.environment, **own, "BUILDAH_ISOLATION": "chroot"},
    )  # fmt: skip
    try:
        missing = lambda: "" if (folder / "podman.sock").exists() else "not yet"  # noqa: E731
        wait_until("podman", "listen", missing, seconds=SECONDS, remedy="")
        yield address
    finally:
        running.terminate()
        running.wait(SECONDS)
        overlay = str(disk / "storage" / "overlay")
        subprocess.run(["umount", "--lazy", overlay], check=False, timeout=SECONDS, capture_output=True)


# The build: by another Podman, since 4.3 may end by itself when one has failed, and would take others' builds along.


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("podman")


@pytest.fixture
def spare(own: Own, storage: Path, short_folder: Path) -> Generator[None, None, None]:
    """The hub's image is built by it."""
    with _podman(own.sandbox, short_folder, storage) as address:
        own.build(engine=address)
        yield
    own.build(engine=None)


@pytest.fixture
def short_folder() -> Generator[Path, None, None]:
    """A socket's path has 108 bytes at most."""
    with TemporaryDirectory(prefix="hw-") as name:
        yield Path(name)


def test_a_base_that_is_gone_is_told(own: Own) -> None:
    gone = PinnedImage(REGISTRY, "iav/base-notebook", "sha256:" + "0" * 64)
    with pytest.raises(Permanent) as raised:
        read_base.fn(own.hub, gone)
    assert "the base is gone from its registry" in raised.value.remedy


@pytest.mark.usefixtures("spare")
@pytest.mark.parametrize(
    ("was", "becomes", "said", "remedy"),
    [
        ("FROM installer AS own", "FORM installer AS own", "FORM", "correct the Containerfile"),
        ("RUN install-packages /packages\n", "RUN echo on the way && exit 7\n", "on the way", "read the step's own"),
    ],
)
def test_a_containerfile_that_cannot_be_built_is_told_with_the_steps_own_words(
    own: Own, was: str, becomes: str, said: str, remedy: str
) -> None:
    assert own.hub.image.build
    file = Path(own.hub.image.build.context) / "Containerfile"
    text = file.read_text()
    file.write_text(text.replace(was, becomes, 1))
    try:
        with pytest.raises(Permanent) as raised:
            own.built()
    finally:
        file.write_text(text)
    assert said in raised.value.answered
    assert remedy in raised.value.remedy
    assert "Using cache" not in raised.value.answered


@pytest.mark.usefixtures("spare")
def test_an_image_that_does_not_fit_the_hub_does_not_pass_its_tests(own: Own) -> None:
    with pytest.raises(Permanent, match="take a base with the same major version") as raised:
        own.built("6.0.0")
    assert "does not pass its tests" in raised.value.remedy


@pytest.mark.usefixtures("spare")
def test_a_build_that_takes_too_long_is_ended(own: Own) -> None:
    inputs = own.inputs()
    packages = fetch_packages.fn(own.hub, inputs, own.base)
    slow = replace(inputs, files={**inputs.files, "install-packages": b"#!/bin/sh\nsleep 10\n"})
    own.build(timeout="3s")
    try:
        with pytest.raises(Permanent) as raised:
            build_image.fn(own.hub, slow, packages)
    finally:
        own.build(timeout="1h")
    assert "image.build.timeout" in raised.value.remedy


# The push.


@pytest.mark.usefixtures("well")
def test_a_push_that_was_cut_off_goes_on_where_it_was(own: Own, admin: Admin, image: BuiltImage) -> None:
    admin.fault("/v2/.*/blobs/uploads/", 503, method="PATCH", times=100)
    with pytest.raises(Transient) as raised:
        push_image.fn(own.hub, image, "cut")
    assert "goes on where it was" in raised.value.remedy
    admin.ask("POST", "/test/reset")
    push_image.fn(own.hub, image, "cut")
    assert confirm_push.fn(own.hub, "cut", image.layers).startswith("sha256:")


@pytest.mark.usefixtures("well")
@pytest.mark.parametrize(
    ("trouble", "remedy"),
    [
        ("expired", "it is renewed at the start"),
        ("disabled", "it is renewed at the start"),
        ("no project", "run again"),
        ("read-only", "read-only mode"),
    ],
)
def test_a_push_that_is_refused_says_why(own: Own, admin: Admin, image: BuiltImage, trouble: str, remedy: str) -> None:
    robot = admin.robots(own.hub)[f"{own.hub.name}-build"]
    if trouble == "expired":
        admin.ask("POST", f"/test/robots/{robot['id']}/expire")
    elif trouble == "disabled":
        admin.api("PUT", f"/robots/{robot['id']}", json={**robot, "disable": True})
    elif trouble == "no project":
        admin.remove_project(own.profile.namespace)
    else:
        admin.set(read_only=True)
    try:
        with pytest.raises(Permanent) as raised:
            push_image.fn(own.hub, image, "refused")
    finally:
        if trouble == "disabled":
            admin.api("PUT", f"/robots/{robot['id']}", json={**robot, "disable": False})
    assert remedy in raised.value.remedy


@pytest.mark.usefixtures("well")
def test_a_project_that_is_full_is_told(own: Own, admin: Admin, image: BuiltImage) -> None:
    number = admin.api("GET", f"/projects/{own.profile.namespace}")["project_id"]
    [quota] = admin.api("GET", "/quotas", params={"reference": "project", "reference_id": number})
    admin.remove_project(own.profile.namespace)
    _set_up(own)
    number = admin.api("GET", f"/projects/{own.profile.namespace}")["project_id"]
    [quota] = admin.api("GET", "/quotas", params={"reference": "project", "reference_id": number})
    admin.api("PUT", f"/quotas/{quota['id']}", json={"hard": {"storage": 1_000_000}})
    try:
        with pytest.raises(Permanent) as raised:
            push_image.fn(own.hub, image, "full")
    finally:
        admin.api("PUT", f"/quotas/{quota['id']}", json={"hard": {"storage": -1}})
    assert "the project is full" in raised.value.remedy


def test_a_manifest_that_nobody_knows_after_the_push_is_waited_for(own: Own, admin: Admin, image: BuiltImage) -> None:
    push_image.fn(own.hub, image, "lost")
    admin.ask("POST", "/test/forget", json={"repository": own.path, "reference": "lost"})
    with pytest.raises(Transient, match="manifest unknown, right after it was pushed"):
        confirm_push.fn(own.hub, "lost", image.layers)


def test_a_tag_that_somebody_else_moved_meanwhile_is_told(own: Own, admin: Admin, image: BuiltImage) -> None:
    push_image.fn(own.hub, image, "moved")
    other = admin.push(own.hub, "other", b"somebody else's")
    admin.ask("POST", "/test/tags", json={"repository": own.path, "digest": other, "tag": "moved"})
    with pytest.raises(Permanent, match="somebody else moved it meanwhile, to"):
        confirm_push.fn(own.hub, "moved", image.layers)


def test_the_profiles_tag_moves_once(own: Own, image: BuiltImage) -> None:
    push_image.fn(own.hub, image, "v2")
    digest = confirm_push.fn(own.hub, "v2", image.layers)
    assert find_image.fn(own.hub, "v2") == digest
    assert tag_image.fn(own.hub, digest)
    assert not tag_image.fn(own.hub, digest)
    robot = read_build_robot(own.hub, Kubernetes.connect())
    with closing(Registry(HARBOR, str(own.sandbox.paths.ca), robot)) as registry:
        assert registry.read_digest(own.path, "v1") == digest


def test_an_image_that_is_gone_cannot_be_tagged(own: Own) -> None:
    with pytest.raises(Permanent, match="there is no such image"):
        tag_image.fn(own.hub, "sha256:" + "0" * 64)
