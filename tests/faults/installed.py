"""A hub whose flows run in the cluster's pods: what harms them, and what is looked at afterwards."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kubernetes import client

from config.profiles import load_profile
from config.spec import Hub
from deployments.sandbox.installation import RELEASE as NAMESPACE
from flows.converge import Outcome
from tasks.core.objects import CLAIM, DEPLOYMENT, POD, SECRET
from tasks.core.wait import wait_until
from tests.faults.faults import Unexpected
from tests.sandbox.conftest import Sandbox
from tests.sandbox.runs import ENDED, Run, Runs

MID_HELM_SECONDS = 300.0
SETTLE_SECONDS = 300.0
COMMAND_SECONDS = 400.0


@dataclass
class Installed:
    """One hub of the installation, with its runs."""

    sandbox: Sandbox
    runs: Runs
    name: str

    @cached_property
    def hub(self) -> Hub:
        return load_profile(self.name)

    @property
    def namespace(self) -> str:
        return self.hub.cluster.namespace

    def edit_by_hand(self) -> None:
        """There is something to deploy: somebody changed the hub's Deployment, and its pod restarts for that."""
        variable = {"name": "PYTHONUNBUFFERED", "value": "2"}
        body = {"spec": {"template": {"spec": {"containers": [{"name": "hub", "env": [variable]}]}}}}
        client.AppsV1Api(self.sandbox.api()).patch_namespaced_deployment("hub", self.namespace, body)

    def start(self, flow: str, **parameters: object) -> str:
        return self.runs.start(f"{flow}/{self.name}", **parameters)

    def wait_for_helm(self, run: str) -> None:
        """The run's Helm is at work. Raises Unexpected where the run ended without."""

        def missing() -> str:
            if self.release()["status"] == "pending-upgrade":
                return ""
            state = self.runs.read(run)["state"]
            if state["type"] in ENDED:
                raise Unexpected(f"not so: Helm is at work; the run ended {state['name']}: {state['message']}")
            return f"the run is {state['name']}"

        wait_until("helm", "be at work", missing, seconds=MID_HELM_SECONDS, remedy="see the run", every=0.3)

    def pods_of(self, run: str) -> tuple[str, ...]:
        """Names of the pods in which a run is, or was."""
        found = self.sandbox.kubernetes.list(POD, NAMESPACE, f"prefect.io/flow-run-id={run}")
        return tuple(pod["metadata"]["name"] for pod in found)

    def delete_pods(self, component: str) -> None:
        """The pods of a part of the installation are gone at once, without a chance to tidy up."""
        core = client.CoreV1Api(self.sandbox.api())
        for pod in self.sandbox.kubernetes.list(POD, NAMESPACE, f"app.kubernetes.io/component={component}"):
            core.delete_namespaced_pod(pod["metadata"]["name"], NAMESPACE, grace_period_seconds=0)

    def evict(self, run: str) -> None:
        """The run's pod is evicted, as by a node that is drained."""
        core = client.CoreV1Api(self.sandbox.api())
        for pod in self.pods_of(run):
            eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=pod, namespace=NAMESPACE))
            core.create_namespaced_pod_eviction(pod, NAMESPACE, eviction)

    def kill(self, run: str) -> None:
        """Every process of the run is killed, its Helm too: the kernel does so where memory ends."""
        found = list(_processes_of(run))
        if not found:
            raise Unexpected("not so: the run has processes on this machine")
        for pid in found:
            os.kill(pid, signal.SIGKILL)

    def scale(self, deployment: str, replicas: int) -> None:
        """A part of the installation has so many pods, and they are ready."""
        apps = client.AppsV1Api(self.sandbox.api())
        apps.patch_namespaced_deployment_scale(deployment, NAMESPACE, {"spec": {"replicas": replicas}})

        def missing() -> str:
            found = self.sandbox.kubernetes.read(DEPLOYMENT, deployment, NAMESPACE) or {}
            ready = found.get("status", {}).get("readyReplicas", 0)
            return "" if ready == replicas else f"{ready} of {replicas} are ready"

        wait_until(deployment, f"have {replicas} pods", missing, seconds=SETTLE_SECONDS, remedy="see its pods")

    def precious(self) -> Mapping[str, str]:
        """Identities of the hub's claims and Secrets with keys, by name."""
        kubernetes = self.sandbox.kubernetes
        found = list(kubernetes.list(CLAIM, self.namespace))
        found += [one for name in ("hub", "hubwright-keys") if (one := kubernetes.read(SECRET, name, self.namespace))]
        mine = [one["metadata"] for one in found if "hubwright-check" not in one["metadata"]["name"]]
        return {meta["name"]: meta["uid"] for meta in mine}

    def release(self) -> Mapping[str, str]:
        """What Helm says of the newest revision, by the labels of the Secret that it keeps that in.

        One that a killed Helm left behind says for ever that it is at work, below those that came after.
        """
        labels = f"owner=helm,name={self.hub.release.name}"
        found = self.sandbox.kubernetes.list(SECRET, self.namespace, labels)
        return max((one["metadata"]["labels"] for one in found), key=lambda said: int(said["version"]))

    def settle(self) -> str:
        """The hub is as it should be; says how that came. Raises Unexpected when it does not come."""
        found = self._converge()
        if found["outcome"] == Outcome.NOTHING:
            return "as it should be"
        repaired = self._converge("--repair")
        again = self._converge()
        if again["outcome"] != Outcome.NOTHING:
            raise Unexpected(f"not so: repair puts it right; {found['reason']}; then {again['reason']}")
        return f"repaired: {repaired['outcome']}; it was so: {found['reason']}"

    def _converge(self, *words: str) -> Mapping[str, str]:
        """What a look at the hub ends with, by the shell command, once nobody is at work on it."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            ended = self.sandbox.python("flows", "converge", self.name, *words, "--json", seconds=COMMAND_SECONDS)
            if ended.code not in (0, 2):
                raise Unexpected(f"not so: converge ends well; it said:\n{ended.stderr[-1500:]}")
            found = json.loads(ended.stdout)
            if found["outcome"] != Outcome.IN_PROGRESS or time.monotonic() > deadline:
                return found

    def new_run(self, flow: str, before: Iterable[Run], wanted: Callable[[Run], bool], seconds: float) -> Run:
        """A run of one of the hub's flows that somebody else made, since there were those of ``before``."""
        known, found = {run["id"] for run in before}, list[Run]()

        def missing() -> str:
            made = self.runs.of(f"{flow}/{self.name}")
            found[:] = [run for run in made if run["id"] not in known and wanted(run)]
            return "" if found else "there is none"

        wait_until("Prefect", f"have a new run of {flow}", missing, seconds=seconds, remedy="see the automations")
        return found[0]


def _processes_of(run: str) -> Iterable[int]:
    """Those on this machine that were started for a run: the sandbox's node is this machine."""
    mark = f"PREFECT__FLOW_RUN_ID={run}".encode()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            words = environ.read_bytes().split(b"\0")
        except OSError:
            continue  # it has just ended
        if mark in words:
            yield int(environ.parent.name)
