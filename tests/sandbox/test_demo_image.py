"""The image that comes along: its lists, locked, built, tried in itself, and run by a hub of thinkube's kind."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from config.profiles import load_profile
from tasks.core.kubernetes import Kubernetes
from tasks.core.robots import read_build_robot
from tasks.image.lists import read_lists
from tasks.image.locks import pins, read_locks
from tasks.registry.attachments import SPDX
from tasks.registry.distribution import Registry
from tests.sandbox.conftest import CLONE, Sandbox


def test_it_is_in_harbor_with_its_sbom_under_both_tags(
    sandbox: Sandbox, demo_image: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CLONE)
    hub = load_profile("sandbox")
    path, digest = hub.image.name.partition("/")[2], demo_image["image"].partition("@")[2]
    robot = read_build_robot(hub, Kubernetes.connect(kubeconfig=sandbox.paths.kubeconfig))
    with closing(Registry(hub.image.name.partition("/")[0], str(sandbox.paths.ca), robot)) as registry:
        assert {registry.read_digest(path, tag) for tag in demo_image["tags"]} == {digest}
        [listed] = registry.list_referrers(path, digest, SPDX)
        found = registry.read_manifest(path, listed["digest"])
        assert found
        document = registry.read_blob(path, found[0]["layers"][0]["digest"])
    assert document
    assert hub.image.build
    locks = read_locks(CLONE / hub.image.build.locks)
    assert locks
    for one in read_lists(hub.image.build):
        assert set(one.names) <= {name for name, _ in pins(locks.texts[one.name])} | locks.base.keys()
        assert all(f"pkg:pypi/{name}@".encode() in document for name in one.names if name not in locks.base)


def test_a_second_run_builds_nothing(sandbox: Sandbox, demo_image: dict[str, Any]) -> None:
    ended = sandbox.flows("rebuild-image", "sandbox", "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    assert ended.result == {**demo_image, "built": False}
