"""Checks of a user's server, from its start to its end. Each returns what it saw, or raises a HubError."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from config.images import PinnedImage
from config.spec import EVERYBODY, Allowance, Hub
from config.types import parse_duration
from tasks.core.errors import Permanent
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import DEPLOYMENT, POD, Body
from tasks.core.pods import PodWatch
from tasks.core.wait import wait_until
from tasks.validation.client import UserSession
from tasks.validation.state import not_available, pod_differences

HUB_LABELS = "component in (hub, proxy)"
AVAILABLE_SECONDS = 90
FILE_NAME = ".hubwright-check"
FORGED: Mapping[str, str] = {"profile": "hubwright-forged"}
"""A choice that no page offers, as somebody posts it who wants more than their roles allow."""
GREEDY: Mapping[str, str] = {"mem_limit": "64G", "cpu_limit": "64"}
"""More than a choice, posted with one: the pod shows whether it counts."""


@dataclass(frozen=True)
class ServerChecks:
    """The tester's server at one hub."""

    hub: Hub
    image: PinnedImage
    kubernetes: Kubernetes
    tester: UserSession
    say: Callable[[str], None]

    def check_available(self) -> str:
        """Both Deployments have all their pods, and the hub answers at the address that users have."""
        remedy = "look at the pods' events and logs, and at what stands between here and the proxy"
        wait_until(
            "hub", f"wait for {self.hub.url}", self._not_serving, seconds=AVAILABLE_SECONDS, remedy=remedy, say=self.say
        )
        return f"hub and proxy have all their pods, and {self.hub.url} answers"

    def check_forged(self) -> str:
        """A choice that nobody offered gives no server, and does not trouble the hub."""
        self.tester.stop_server()
        try:
            self._start(FORGED)
        except Permanent:
            pods = len(self._pods())
        else:
            pods = 1
        if wrong := f"{pods} pods run" if pods else self.tester.read_unhealthy():
            remedy = "look at the hub's log: it should say that there is no such choice"
            raise Permanent("hub", f"refuse {FORGED}, which nobody offered", wrong, remedy)
        return "no server started, and the hub is well"

    def check_server(self) -> str:
        """A new server of the tester's runs, and its pod is what their roles allow."""
        self.tester.stop_server()
        started = time.monotonic()
        self._start(GREEDY)
        seconds = time.monotonic() - started
        allowance, pods = self._allowance(), self._pods()
        one = len(pods) == 1
        found = pod_differences(pods[0], self.hub, allowance, self.image) if one else (f"{len(pods)} pods run",)
        if found:
            remedy = "compare the release's values with the profile; does something in the cluster change pods?"
            raise Permanent("hub", f"start a server for {self.tester.user}", "; ".join(found), remedy)
        return f"ready after {seconds:.1f} s with {allowance.cpu.limit} CPU, {allowance.memory.limit}"

    def check_code(self, mark: str) -> str:
        """A kernel runs code, which leaves a file in each volume."""
        code = "".join(f"open({path!r}, 'w').write({mark!r})\n" for path in self._files) + "print(6 * 7)"
        printed = self.tester.run_code(code).strip()
        if printed != "42":
            raise Permanent("kernel", "print 6 * 7", repr(printed), "try it in a notebook; look at the server's log")
        return f"execute_reply is ok, and it wrote {' and '.join(self._files)}"

    def check_files_stay(self, mark: str) -> str:
        """A new pod sees the files of the one before; they are removed afterwards."""
        self.tester.stop_server()
        self._start()
        code = "import os\n" + "".join(f"print(open({path!r}).read()); os.remove({path!r})\n" for path in self._files)
        if self.tester.run_code(code).split() != [mark] * len(self._files):
            remedy = "check that the volumes outlive a pod: their class, and where they are mounted"
            raise Permanent("hub", f"read {' and '.join(self._files)} again", "another content", remedy)
        return "both pods saw the same volumes"

    def check_stop(self) -> str:
        """The tester leaves no server behind."""
        self.tester.stop_server()
        return f"no server of {self.tester.user} is left"

    def _not_serving(self) -> str:
        # A fresh proxy has no route until the hub has told it of one, so ready pods alone prove nothing.
        return "; ".join(not_available(self._deployments())) or self.tester.read_unhealthy()

    def _deployments(self) -> tuple[Body, ...]:
        found = self.kubernetes.list(DEPLOYMENT, self.hub.cluster.namespace, HUB_LABELS)
        if len(found) != len(("hub", "proxy")):
            remedy = "deploy again: somebody removed a part of the release"
            raise Permanent("Kubernetes", "find the Deployments hub and proxy", f"found {len(found)}", remedy)
        return found

    def _start(self, options: Mapping[str, str] | None = None) -> None:
        timeout = parse_duration(self.hub.server.start_timeout).total_seconds()
        watch = PodWatch(self.kubernetes, self.hub.cluster.namespace, self._tester_label, lambda _phrase: None)
        self.tester.start_server(timeout, self.say, watch.look, options)

    def _allowance(self) -> Allowance:
        roles = self.tester.read_roles() if self.hub.roles else (EVERYBODY,)
        allowance = self.hub.allowance_for(roles)
        if allowance is None:
            found = f"has {', '.join(roles) or 'none'}, of which the profile knows none"
            raise Permanent("hub", f"read the roles of {self.tester.user}", found, "compare them with identity.roles")
        return allowance

    def _pods(self) -> tuple[Body, ...]:
        return self.kubernetes.list(POD, self.hub.cluster.namespace, self._tester_label)

    @property
    def _tester_label(self) -> str:
        return f"hub.jupyter.org/username={self.tester.user}"

    @property
    def _files(self) -> tuple[str, ...]:
        shared = self.hub.storage.shared
        folders = (self.hub.storage.home.mount, *((shared.mount,) if shared else ()))
        return tuple(f"{folder}/{FILE_NAME}" for folder in folders)
