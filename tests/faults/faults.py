"""The faults. Each does its harm, and returns how the deploy that it happened to ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.faults.stage import Running, Stage, until
from tests.sandbox.conftest import Ended

Fault = Callable[[Stage], Ended]
BAD_IMAGE = "10.51.0.2:5000/library/busybox:1"


class Unexpected(AssertionError):
    """A fault had another effect than it must have; the text says which."""


def expect(holds: bool, what: str, ended: Ended) -> None:
    """Raises Unexpected, with the run's last words, unless something holds."""
    if not holds:
        raise Unexpected(f"not so: {what}; it said:\n{ended.stderr[-1500:]}")


def _killed_when_it_says(pattern: str) -> Fault:
    def fault(stage: Stage) -> Ended:
        stage.change()
        running = Running(stage)
        running.wait_for(pattern)
        running.kill()
        return running.end()

    return fault


def _killed_in_upgrade(stage: Stage) -> Ended:
    stage.change()
    running = Running(stage)
    stage.wait_for_status("pending-upgrade")
    running.kill()
    return running.end()


def _killed_in_rollback(stage: Stage) -> Ended:
    stage.profile.change(release={"images": {"hub": BAD_IMAGE}})
    running = Running(stage)
    stage.wait_for_status("pending-rollback")
    running.kill()
    stage.profile.change(release={"images": {}})
    stage.change()
    return running.end()


def _stopped_in_upgrade(part: str, seconds: float) -> Fault:
    """The run may end either way, but it must say what it met when it fails."""

    def fault(stage: Stage) -> Ended:
        stage.change()
        running = Running(stage)
        stage.wait_for_status("pending-upgrade")
        stage.part("stop", part)
        try:
            time.sleep(seconds)
        finally:
            stage.part("start", part)
        ended = running.end()
        expect(ended.code == 0 or "What to do:" in ended.stderr, "it ends well, or says what to do", ended)
        return ended

    return fault


def _registry_stopped(stage: Stage) -> Ended:
    stage.change()
    stage.part("stop", "registry")
    try:
        start = stage.sandbox.audit.now()
        ended = stage.deploy()
    finally:
        stage.part("start", "registry")
    expect(ended.code == 1 and "missing or wrong" in ended.stderr, "it is refused", ended)
    expect(not stage.sandbox.audit.writes(start, stage.profile.namespace, ("hubwright", "Helm")), "no write", ended)
    return ended


def _two_at_once(stage: Stage) -> Ended:
    stage.change()
    first, second = Running(stage), Running(stage)
    ended = [first.end(), second.end()]
    waited = [one for one in ended if "waiting for the fence" in one.stderr]
    expect(all(one.code == 0 for one in ended), "both end well", ended[0])
    expect(len(waited) == 1, "one waits for the other", ended[1])
    return waited[0]


def _helm_killed(stage: Stage) -> Ended:
    healthy = stage.sandbox.history(stage.profile)[-1]["revision"]
    stage.change()
    running = Running(stage)
    stage.wait_for_status("pending-upgrade")
    os.kill(_helm_of(running.pid), signal.SIGKILL)
    ended = running.end()
    expect(ended.code == 1, "the run fails", ended)
    expect(f"going back to revision {healthy}" in ended.stderr, "the newest healthy release comes back", ended)
    expect(stage.status() == "deployed", "it is deployed", ended)
    return ended


def _helm_of(parent: int) -> int:
    """The process id of a run's Helm."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        name, _, rest = stat.read_text().partition(")")
        if name.endswith("(helm") and int(rest.split()[1]) == parent:
            return int(stat.parent.name)
    raise Unexpected("no Helm runs")


def _wrong_digest(stage: Stage) -> Ended:
    stage.change()
    stage.profile.change(release={"chart": {"digest": f"sha256:{'0' * 64}"}})
    start = stage.sandbox.audit.now()
    ended = stage.deploy()
    stage.profile.change(release={"chart": {}})
    expect(ended.code == 1 and "its digest is" in ended.stderr, "it is refused", ended)
    expect(not stage.sandbox.audit.writes(start, stage.profile.namespace, ("hubwright", "Helm")), "no write", ended)
    return ended


def _clock_off(offset: str) -> Fault:
    """The run whose clock is off meets one that holds the fence, waits for it, and then deploys."""

    def fault(stage: Stage) -> Ended:
        stage.change()
        right = Running(stage)
        right.wait_for("Task run 'ensure namespace")
        # Time intervals stay right, as they do on a machine whose clock is merely set wrong.
        wrong = Running(stage, "faketime", "-f", offset, env={"FAKETIME_DONT_FAKE_MONOTONIC": "1"})
        ended = [right.end(), wrong.end()]
        expect(ended[0].code == 0, "the one with the right clock ends well", ended[0])
        expect(
            ended[1].code == 0 and "waiting for the fence" in ended[1].stderr, "the other waits, ends well", ended[1]
        )
        return ended[1]

    return fault


def _api_server_gone(stage: Stage) -> Ended:
    stage.change()
    stage.part("stop", "kube-apiserver")
    try:
        ended = stage.deploy()
    finally:
        stage.part("start", "kube-apiserver")
    expect(ended.code == 1 and "cannot be reached" in ended.stderr, "it is refused", ended)
    expect(until(60, lambda: bool(stage.sandbox.history(stage.profile))), "the API server answers again", ended)
    return ended


FAULTS: Mapping[str, Fault] = {
    "SIGKILL while it looks": _killed_when_it_says("Task run 'pin images"),
    "SIGKILL in the cluster phase": _killed_when_it_says("Task run 'ensure namespace"),
    "SIGKILL in mid-upgrade": _killed_in_upgrade,
    "SIGKILL in monitoring": _killed_when_it_says("Task run 'ensure release-.*Finished"),
    "SIGKILL in the checks": _killed_when_it_says("✓ a user signs in"),
    "SIGKILL before the record": _killed_when_it_says("✓ the user's server stops"),
    "SIGKILL in the rollback": _killed_in_rollback,
    "API server gone before a deploy": _api_server_gone,
    "API server stopped for 20 s in mid-upgrade": _stopped_in_upgrade("kube-apiserver", 20),
    "etcd stopped for 10 s in mid-upgrade": _stopped_in_upgrade("etcd", 10),
    "kubelet stopped for 20 s in mid-upgrade": _stopped_in_upgrade("kubelet", 20),
    "registry stopped": _registry_stopped,
    "two deploys at once": _two_at_once,
    "Helm killed in mid-upgrade": _helm_killed,
    "wrong digest of the chart": _wrong_digest,
    "clock 10 minutes ahead": _clock_off("+10m"),
    "clock 10 minutes behind": _clock_off("-10m"),
}
