"""The faults of going back: releases that are bad, runs that are ended, records and history that somebody harmed."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kubernetes import client

from deployments.sandbox.addresses import REGISTRY
from deployments.sandbox.contents import CHART
from tasks.core.objects import POD
from tests.faults.disk import full_disk
from tests.faults.faults import BAD_IMAGE, Fault, expect
from tests.faults.images import deleted_image
from tests.faults.stage import Running, Stage
from tests.faults.ui import cancelled
from tests.sandbox.conftest import RELEASE, Ended

BACK = "going back to revision"
OLD_HUB = f"{REGISTRY}/jupyterhub/k8s-hub:3.3.8"
NOTEBOOK = f"{REGISTRY}/iav/base-notebook"
CONFIG = Path("files", "hub", "jupyterhub_config.py")
OUTAGE_SECONDS = 30.0
ROUNDS = 20


def failing(said: str, **parts: Any) -> Fault:
    """A deploy that fails for this reason, after which the last healthy release serves."""

    def fault(stage: Stage) -> Ended:
        with stage.changed(**parts):
            ended = stage.deploy()
        expect(ended.code == 1 and said in ended.stderr, f"it fails, and says {said!r}", ended)
        expect(stage.healthy(), "the last healthy release serves", ended)
        return ended

    return fault


def _missing_image(stage: Stage) -> Ended:
    start = stage.sandbox.audit.now()
    with stage.changed(image={"reference": f"{NOTEBOOK}:nobody-pushed-it"}):
        ended = stage.deploy()
    expect(ended.code == 1 and "missing or wrong" in ended.stderr, "it is refused", ended)
    expect(not stage.sandbox.audit.writes(start, stage.profile.namespace, ("hubwright", "Helm")), "no write", ended)
    return ended


def _syntax_error(stage: Stage) -> Ended:
    with tempfile.TemporaryDirectory() as folder:
        chart = shutil.copytree(CHART, Path(folder) / "jupyterhub")
        (chart / CONFIG).write_text(f"def (:\n{(chart / CONFIG).read_text()}")
        release = {"chart": {"repository": None, "ca": None, "path": str(chart)}}
        return failing("SyntaxError", release=release)(stage)


def _older_hub(stage: Stage) -> Ended:
    """It does not start on a database of a newer schema; the release before it does, on the same one."""
    return failing("start Pod hub-", release={"images": {"hub": OLD_HUB}})(stage)


def _ended_when_it_says(flow: str, pattern: str) -> Fault:
    def fault(stage: Stage) -> Ended:
        _two_releases(stage)
        running = Running(stage, flow=flow)
        running.wait_for(pattern)
        running.kill()
        return running.end()

    return fault


def _killed_rollback(stage: Stage) -> Ended:
    _two_releases(stage)
    running = Running(stage, flow="rollback")
    stage.wait_for_status("pending-rollback")
    running.kill()
    return running.end()


def _hub_killed_in_checks(stage: Stage) -> Ended:
    stage.change()
    running = Running(stage)
    running.wait_for("✓ a user signs in")
    core = client.CoreV1Api(stage.sandbox.api())
    for pod in stage.sandbox.kubernetes.list(POD, stage.profile.namespace, "component=hub"):
        core.delete_namespaced_pod(pod["metadata"]["name"], stage.profile.namespace, grace_period_seconds=0)
    return _ended_or_said(running.end())


def outage(part: str, when: str, seconds: float = OUTAGE_SECONDS) -> Fault:
    """A part of the cluster is away while a deploy is at this step."""

    def fault(stage: Stage) -> Ended:
        stage.change()
        running = Running(stage)
        running.wait_for(when)
        stage.part("stop", part)
        try:
            time.sleep(seconds)
        finally:
            stage.part("start", part)
        return _ended_or_said(running.end())

    return fault


def _registry_gone(stage: Stage) -> Ended:
    """Going back needs nothing of the registry: the nodes have the images."""
    _two_releases(stage)
    stage.part("stop", "registry")
    try:
        ended = stage.flow("rollback")
    finally:
        stage.part("start", "registry")
    expect(ended.code == 0, "it goes back", ended)
    return ended


def _two_rollbacks(stage: Stage) -> Ended:
    _two_releases(stage)
    aim = stage.records()[1].stands_for
    runs = [Running(stage, flow="rollback"), Running(stage, flow="rollback")]
    ended = [one.end() for one in runs]
    expect(all(one.code == 0 for one in ended), "both end well", ended[0])
    expect(sum("waiting for the fence" in one.stderr for one in ended) == 1, "one waits for the other", ended[1])
    expect(stage.records()[0].stands_for == aim, "both mean the same release", ended[1])
    return ended[1]


def _history_truncated(stage: Stage) -> Ended:
    _two_releases(stage)
    core = client.CoreV1Api(stage.sandbox.api())
    for entry in stage.sandbox.history(stage.profile)[:-1]:
        core.delete_namespaced_secret(f"sh.helm.release.v1.{RELEASE}.v{entry['revision']}", stage.profile.namespace)
    ended = stage.flow("rollback")
    expect(ended.code == 0 and "Helm has forgotten revision" in ended.stderr, "it comes from its record", ended)
    return ended


def _record_harmed(harm: Callable[[client.CoreV1Api, str, str], object]) -> Fault:
    def fault(stage: Stage) -> Ended:
        revision = stage.sandbox.history(stage.profile)[-1]["revision"]
        harm(client.CoreV1Api(stage.sandbox.api()), f"{RELEASE}-release-{revision}", stage.profile.namespace)
        expect(not stage.healthy(), "nothing is on record", Ended(0, "", ""))
        return Ended(0, "", "")

    return fault


def _garble(core: client.CoreV1Api, name: str, namespace: str) -> None:
    core.patch_namespaced_config_map(name, namespace, {"data": {"record.json": "garbled"}})


def _rounds(stage: Stage) -> Ended:
    for _ in range(ROUNDS):
        _two_releases(stage)
        ended = stage.flow("rollback")
        expect(ended.code == 0 and stage.healthy(), "it goes back", ended)
    return ended


def _two_releases(stage: Stage) -> None:
    """There is a healthy release before the present one."""
    stage.change()
    ended = stage.deploy()
    expect(ended.code == 0, "there is one to go back from", ended)


def _ended_or_said(ended: Ended) -> Ended:
    expect(ended.code == 0 or "What to do:" in ended.stderr, "it ends well, or says what to do", ended)
    return ended


GOING_BACK: Mapping[str, Fault] = {
    "image that is not there": _missing_image,
    "image whose server crashes": failing("server", image={"reference": BAD_IMAGE}),
    "image whose kernel fails": failing("kernel", image={"reference": f"{NOTEBOOK}:no-kernel"}),
    "syntax error in the hub's configuration": _syntax_error,
    "hub that is older than its database": _older_hub,
    "SIGKILL while it goes back": _killed_rollback,
    "SIGKILL in the checks after going back": _ended_when_it_says("rollback", "✓ a user signs in"),
    "hub's pod killed in the checks": _hub_killed_in_checks,
    "API server gone for 30 s in the checks": outage("kube-apiserver", "✓ a user signs in"),
    "registry gone while it goes back": _registry_gone,
    "disk of the hub's database full": full_disk,
    "two rollbacks at once": _two_rollbacks,
    "image of the release to go back to deleted": deleted_image,
    "Helm's history truncated": _history_truncated,
    "record deleted": _record_harmed(lambda core, name, namespace: core.delete_namespaced_config_map(name, namespace)),
    "record garbled": _record_harmed(_garble),
    "deploy cancelled in the UI": cancelled,
    f"{ROUNDS} deploys and rollbacks in a row": _rounds,
}
