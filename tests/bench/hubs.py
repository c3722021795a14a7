"""Two hubs that are compared: one is Hubwright's, the other is installed by the plain helm command."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client

from config.profiles import load_profile
from deployments.sandbox.paths import CLONE
from tasks.core.names import CHART_SECRET
from tasks.core.objects import CLAIM, DEPLOYMENT, POD, SECRET, WantedObject
from tasks.core.wait import wait_until
from tasks.release.client import Helm
from tests.sandbox.conftest import RELEASE, Profile, Sandbox, new_profile, open_sandbox

SETTLE_SECONDS = 120


@dataclass(frozen=True)
class Hubs:
    """Hubwright's hub, the other one, and the chart that both are of."""

    sandbox: Sandbox
    ours: Profile
    theirs: Profile
    chart: Path

    def values(self) -> dict[str, Any]:
        """The values of our hub, with the other one's host."""
        values = self.sandbox.helm(self.ours.namespace, "get", "values", RELEASE)
        host = self.theirs.text["ingress"]["host"]
        ingress = {**values["ingress"], "hosts": [host], "tls": [{**values["ingress"]["tls"][0], "hosts": [host]}]}
        return {**values, "ingress": ingress}

    def change_idle_timeout(self, hours: int) -> None:
        """One value of our profile is another; the hub restarts for it."""
        self.ours.change(server={"idle_timeout": f"{hours}h"})

    def prepare_helm(self) -> dict[str, Any]:
        """What the chart needs beforehand is in the other namespace, and no release; returns the release's values.

        Hubwright makes it: the release is taken away again, and what Helm took with it is put back.
        """
        ended = self.sandbox.flows("deploy", str(self.theirs), "--json")
        assert ended.code == 0, ended.stderr[-3000:]
        values = self.sandbox.helm(self.theirs.namespace, "get", "values", RELEASE)
        kubernetes, namespace = self.sandbox.kubernetes, self.theirs.namespace
        kept = kubernetes.read(SECRET, CHART_SECRET, namespace)
        assert kept
        argv = ["helm", "uninstall", RELEASE, "--namespace", namespace, "--wait"]
        subprocess.run(argv, env=self.sandbox.environment, capture_output=True, timeout=SETTLE_SECONDS, check=True)
        client.CoreV1Api(self.sandbox.api()).delete_namespaced_persistent_volume_claim("hub-db-dir", namespace)

        def left() -> str:
            pods = kubernetes.list(POD, namespace) or kubernetes.list(DEPLOYMENT, namespace)
            return "pods" if pods or kubernetes.read(CLAIM, "hub-db-dir", namespace) else ""

        wait_until("bench", "take the release away", left, seconds=SETTLE_SECONDS, remedy="look at the namespace")
        metadata = {key: kept["metadata"][key] for key in ("labels", "annotations")}
        seed = {key: value for key, value in kept["data"].items() if key != "values.yaml"}
        kubernetes.create(WantedObject(SECRET, CHART_SECRET, namespace, {"metadata": metadata, "data": seed}))
        return values


@contextmanager
def bench_hubs() -> Generator[Hubs]:
    """Profiles and namespaces for both hubs, which are deleted afterwards."""
    sandbox = open_sandbox()
    os.environ.update({key: sandbox.environment[key] for key in ("KUBECONFIG", "PATH")})
    os.chdir(CLONE)
    core = client.CoreV1Api(sandbox.api())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, theirs = (new_profile(sandbox, folder, f"bench-{who}-{os.urandom(2).hex()}") for who in ("ours", "helm"))
        try:
            chart = Helm("default").read_chart(load_profile(str(ours)).release.chart, folder)
            yield Hubs(sandbox, ours, theirs, chart.path)
        finally:
            for profile in (ours, theirs):
                core.delete_namespace(profile.namespace)
