"""The checks themselves, in the order in which a user would meet what they check.

Each returns what it saw, in one line, or raises a HubError that says why not.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

from pydantic import SecretStr

from config.images import PinnedImage
from config.spec import Hub
from config.types import parse_duration
from tasks.core.errors import Permanent
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import DEPLOYMENT, POD
from tasks.core.pods import PodWatch
from tasks.core.wait import wait_until
from tasks.validation.client import UserSession
from tasks.validation.state import not_available, pod_differences

HUB_LABELS = "component in (hub, proxy)"
AVAILABLE_SECONDS = 90
FILE_NAME = ".hubwright-check"

Check = Callable[[], str]


@dataclass(frozen=True)
class Checks:
    """All checks of one hub, with what they need."""

    hub: Hub
    image: PinnedImage
    kubernetes: Kubernetes
    tester: UserSession
    admin: UserSession | None
    password: SecretStr
    admin_password: SecretStr
    say: Callable[[str], None]

    def __iter__(self) -> Iterator[tuple[str, Check]]:
        """The checks by name. One that fails ends the row, since those after it build upon it."""
        mark = secrets.token_hex(8)
        yield "hub and proxy are available", self.check_available
        yield "a wrong password is refused", self.check_wrong_password
        yield "a user signs in", self.check_sign_in
        yield "the user's server starts, with its image, limits and volumes", self.check_server
        yield "code runs in a kernel, and writes to every volume", lambda: self.check_code(mark)
        yield "the files are there after the server was stopped and started", lambda: self.check_files_stay(mark)
        if self.admin:
            yield "an admin sees the admin page, the user does not", self.check_admin_page
        yield "the user's server stops", self.check_stop

    def check_available(self) -> str:
        """Both Deployments have all their pods, and the hub answers at the address that users have."""
        remedy = "look at the pods' events and logs, and at what stands between here and the proxy"
        wait_until(
            "hub", f"wait for {self.hub.url}", self._not_serving, seconds=AVAILABLE_SECONDS, remedy=remedy, say=self.say
        )
        return f"hub and proxy have all their pods, and {self.hub.url} answers"

    def _not_serving(self) -> str:
        # A fresh proxy has no route until the hub has told it of one, so ready pods alone prove nothing.
        return "; ".join(not_available(self._deployments())) or self.tester.read_unhealthy()

    def check_wrong_password(self) -> str:
        """The hub refuses a password that cannot be right."""
        with closing(UserSession(self.tester.address, self.tester.user)) as stranger:
            if stranger.sign_in(SecretStr(secrets.token_hex(16))):
                remedy = "look at the hub's authenticator: it lets everybody in"
                raise Permanent("hub", "sign in with a wrong password", "it was accepted", remedy)
        return f"{self.hub.url}/hub/login refused it"

    def check_sign_in(self) -> str:
        """The tester gets in by the login page."""
        return _sign_in(self.tester, self.password)

    def check_server(self) -> str:
        """A new server of the tester's runs, and its pod is what the spec asks for."""
        self.tester.stop_server()
        started = time.monotonic()
        self._start()
        seconds = time.monotonic() - started
        pods = self.kubernetes.list(POD, self.hub.cluster.namespace, self._tester_label)
        found = pod_differences(pods[0], self.hub, self.image) if len(pods) == 1 else (f"{len(pods)} pods run",)
        if found:
            remedy = "compare the release's values with the profile; does something in the cluster change pods?"
            raise Permanent("hub", f"start a server for {self.tester.user}", "; ".join(found), remedy)
        return f"ready after {seconds:.1f} s with {self.hub.server.cpu.limit} CPU, {self.hub.server.memory.limit}"

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

    def check_admin_page(self) -> str:
        """The admin page opens for an admin and for nobody else."""
        assert self.admin
        _sign_in(self.admin, self.admin_password)
        codes = (self.admin.read_page("/hub/admin"), self.tester.read_page("/hub/admin"))
        if codes != (200, 403):
            remedy = "compare identity.admins with the hub's admins; one made an admin by hand stays one"
            raise Permanent("hub", "open /hub/admin as admin and as user", f"{codes[0]} and {codes[1]}", remedy)
        return f"{self.admin.user} got 200, {self.tester.user} got 403"

    def check_stop(self) -> str:
        """The tester leaves no server behind."""
        self.tester.stop_server()
        return f"no server of {self.tester.user} is left"

    def _deployments(self) -> tuple[dict[str, object], ...]:
        found = self.kubernetes.list(DEPLOYMENT, self.hub.cluster.namespace, HUB_LABELS)
        if len(found) != len(("hub", "proxy")):
            remedy = "deploy again: somebody removed a part of the release"
            raise Permanent("Kubernetes", "find the Deployments hub and proxy", f"found {len(found)}", remedy)
        return tuple(dict(one) for one in found)

    def _start(self) -> None:
        timeout = parse_duration(self.hub.server.start_timeout).total_seconds()
        watch = PodWatch(self.kubernetes, self.hub.cluster.namespace, self._tester_label, lambda _phrase: None)
        self.tester.start_server(timeout, self.say, watch.look)

    @property
    def _tester_label(self) -> str:
        return f"hub.jupyter.org/username={self.tester.user}"

    @property
    def _files(self) -> tuple[str, ...]:
        shared = self.hub.storage.shared
        folders = (self.hub.storage.home.mount, *((shared.mount,) if shared else ()))
        return tuple(f"{folder}/{FILE_NAME}" for folder in folders)


def _sign_in(session: UserSession, password: SecretStr) -> str:
    if not session.sign_in(password):
        remedy = "check the password that the profile refers to, and that the hub read it (it does when it starts)"
        raise Permanent("hub", f"sign in as {session.user}", "the login page refused the password", remedy)
    return f"{session.user} is in"
