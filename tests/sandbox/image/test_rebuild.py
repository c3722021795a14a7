"""rebuild-image as people run it: built once, found again, kept from its tag by what a scan finds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from deployments.sandbox.addresses import HARBOR
from tasks.core.kubernetes import Kubernetes
from tasks.core.robots import read_build_robot
from tasks.image.client import Engine
from tasks.image.inventory import read_inventory
from tasks.registry.attachments import signature_tag
from tasks.registry.distribution import Registry
from tests.sandbox.conftest import CLONE
from tests.sandbox.image.conftest import Own
from tests.sandbox.registry.conftest import Admin

KILL_SECONDS = 120


def _registry(own: Own) -> Registry:
    robot = read_build_robot(own.hub, Kubernetes.connect())
    return Registry(HARBOR, str(own.sandbox.paths.ca), robot)


def _layers(own: Own, reference: str) -> list[str]:
    with closing(_registry(own)) as registry:
        found = registry.read_manifest(own.path, reference)
    assert found
    return [layer["digest"] for layer in found[0]["layers"]]


def test_an_image_is_built_once_and_the_second_run_writes_nothing(own: Own, admin: Admin) -> None:
    first = own.rebuild()
    assert first.code == 0, first.stderr[-3000:]
    assert first.result["built"]
    assert "Ran 5 tests" in first.stderr
    since, start = time.time(), own.sandbox.audit.now()
    second = own.rebuild()
    assert second.code == 0, second.stderr[-3000:]
    assert second.result == {**first.result, "built": False}
    assert admin.writes(since) == []
    assert own.sandbox.audit.writes(start, own.profile.namespace, ("hubwright",)) == []


def test_another_process_finds_what_was_built_where_results_are_shared(own: Own, tmp_path: Path) -> None:
    shared = {"PREFECT_LOCAL_STORAGE_PATH": str(tmp_path / "results")}
    for number, state in ((1, "Completed"), (2, "Cached")):
        ended = own.rebuild(env={**shared, "PREFECT_HOME": str(tmp_path / f"home{number}")})
        assert ended.code == 0, ended.stderr[-3000:]
        [line] = [line for line in ended.stderr.splitlines() if "publish image" in line and "Finished" in line]
        assert state in line


def test_a_forced_build_makes_the_same_layers(own: Own) -> None:
    before = _layers(own, "v1")
    ended = own.rebuild("--force")
    assert ended.code == 0, ended.stderr[-3000:]
    assert ended.result["built"]
    assert _layers(own, "v1") == before


def test_a_changed_list_wants_a_lock_and_then_is_one_layer_more(own: Own) -> None:
    before = _layers(own, "v1")
    own.build(packages=["humanize"])
    ended = own.rebuild()
    assert ended.code == 1
    assert "list own has no lock" in ended.stderr
    assert "lock-image" in ended.stderr
    own.lock()
    ended = own.rebuild()
    assert ended.code == 0, ended.stderr[-3000:]
    after = _layers(own, "v1")
    assert len([layer for layer in after if layer not in before]) == 1


def test_packages_and_labels_are_in_the_image(own: Own) -> None:
    image = json.loads(own.rebuild().stdout)["image"]
    with Engine.connect(own.sandbox.environment["DOCKER_HOST"], 300) as engine:
        if not engine.has_image(image):
            engine.pull(image, read_build_robot(own.hub, Kubernetes.connect()), print)
        with engine.export(image) as stream:
            inventory = read_inventory(stream)
    assert {"tabulate", "humanize"} <= {one.name for one in inventory.packages if one.where == "/opt/packages"}
    with closing(_registry(own)) as registry:
        found = registry.read_manifest(own.path, "v1")
        assert found
        blob = registry.read_blob(own.path, found[0]["config"]["digest"])
    assert blob
    labels = json.loads(blob)["config"]["Labels"]
    assert labels["org.opencontainers.image.base.digest"] == own.base.image.digest
    assert labels["io.hubwright.inputs"].startswith("sha256:")
    assert labels["org.opencontainers.image.created"].endswith("+00:00")
    assert len(labels["org.opencontainers.image.revision"]) == 40


def test_a_signature_is_made_once(own: Own, admin: Admin) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    file = own.folder / "signing.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    own.build(signing_key={"file": str(file)})
    first = own.rebuild()
    assert first.code == 0, first.stderr[-3000:]
    digest = first.result["image"].partition("@")[2]
    assert _layers(own, signature_tag(digest))
    since = time.time()
    assert own.rebuild().code == 0
    assert admin.writes(since) == []
    assert "PRIVATE" not in first.stderr


def test_what_a_scan_finds_keeps_the_tag_where_it_was(own: Own) -> None:
    before = _layers(own, "v1")
    results = own.sandbox.paths.harbor / "scans"
    results.mkdir(exist_ok=True)
    bad = {"id": "CVE-2026-1", "severity": "Critical", "package": "openssl", "version": "3.0", "fix_version": "3.1"}
    (results / "default.json").write_text(json.dumps({"vulnerabilities": [{**bad, "links": []}]}))
    own.build(packages=["humanize", "toolz"])
    own.lock()
    try:
        ended = own.rebuild()
        assert ended.code == 1
        assert "CVE-2026-1" in ended.stderr
        assert "mended in 3.1" in ended.stderr
        assert _layers(own, "v1") == before
        allowed = [{"id": "CVE-2026-1", "until": "2099-01-01", "reason": "it is never called"}]
        own.profile.change(registry={"harbor": {"gate": {"allowed": allowed}}})
        ended = own.rebuild()
        assert ended.code == 0, ended.stderr[-3000:]
        assert not ended.result["built"]
        assert _layers(own, "v1") != before
    finally:
        (results / "default.json").unlink()


def test_of_two_runs_at_once_one_builds(own: Own) -> None:
    own.build(packages=["humanize", "toolz", "wrapt"])
    own.lock()
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda _number: own.rebuild(), range(2)))
    assert [one.code for one in ended] == [0, 0], [one.stderr[-2000:] for one in ended]
    assert ended[0].result["image"] == ended[1].result["image"]
    assert sum("Ran 5 tests" in one.stderr for one in ended) == sum(one.result["built"] for one in ended) == 1


def test_a_run_that_was_killed_is_run_again_from_the_top(own: Own, tmp_path: Path) -> None:
    own.build(packages=["humanize", "toolz", "wrapt", "zipp"])
    own.lock()
    said = tmp_path / "said"
    with said.open("w") as stream:
        running = subprocess.Popen(
            own.sandbox.command("rebuild-image", str(own.profile)), cwd=CLONE, env=own.sandbox.environment,
            stdout=subprocess.DEVNULL, stderr=stream, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + KILL_SECONDS
        while "push: The push" not in said.read_text():
            assert running.poll() is None, said.read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    ended = own.rebuild()
    assert ended.code == 0, ended.stderr[-3000:]
    assert _layers(own, "v1")
