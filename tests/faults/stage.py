"""The hub that faults happen to, and what is looked at while they do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes import client
from pydantic import SecretStr

from config.profiles import load_profile
from deployments.sandbox.paths import CLONE
from tasks.core.address import Address
from tasks.core.errors import HubError
from tasks.core.objects import CLAIM, POD, SECRET
from tasks.core.record import ReleaseRecord, record_of
from tasks.core.records import list_records
from tasks.core.wait import wait_until
from tasks.validation.client import UserSession
from tasks.validation.entry import Entry
from tests.sandbox.conftest import RELEASE, Ended, Profile, Sandbox, new_profile, open_sandbox
from tests.sandbox.counting import Counting

COMMAND_SECONDS = 300
LOOK_SECONDS = 0.2
USER = "somebody"
FILES = ("/home/jovyan/precious", "/shared/precious")


class Running:
    """A flow that runs, a deploy unless another is named, with what it has said so far."""

    def __init__(self, stage: Stage, *before: str, flow: str = "deploy", env: dict[str, str] | None = None) -> None:
        self.start([*before, *stage.sandbox.command(flow, str(stage.profile))], stage, env or {})

    def start(self, argv: list[str], stage: Stage, env: Mapping[str, str]) -> None:
        """The command runs from now on, in a process group of its own."""
        self._said: list[str] = []
        self._child = subprocess.Popen(
            argv, cwd=CLONE, env={**stage.sandbox.environment, **env}, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.pid = self._child.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str) -> None:
        """It has said something that matches."""

        def missing() -> str:
            return "" if re.search(pattern, self.said) or self._child.poll() is not None else "not said"

        wait_until("run", f"say {pattern}", missing, seconds=COMMAND_SECONDS, remedy="read what it said")
        assert re.search(pattern, self.said), self.said[-2000:]

    def kill(self) -> None:
        """It and its Helm are gone, without a chance to tidy up."""
        os.killpg(self.pid, signal.SIGKILL)
        self.end()

    def end(self) -> Ended:
        """How it ended."""
        self._child.wait(COMMAND_SECONDS)
        self._reader.join(5)
        return Ended(self._child.returncode, "", self.said)

    @property
    def said(self) -> str:
        return "".join(self._said)

    def _read(self) -> None:
        assert self._child.stdout
        for line in self._child.stdout:
            self._said.append(line)


class Watch:
    """Asks the hub again and again whether it serves; ``gap`` is the longest time in seconds that it did not."""

    def __init__(self, address: Address) -> None:
        self.gap = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(address,), daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def _look(self, address: Address) -> None:
        served = time.monotonic()
        with closing(UserSession(address, USER)) as session:
            while not self._ended.wait(LOOK_SECONDS):
                if not session.read_unhealthy():
                    served = time.monotonic()
                self.gap = max(self.gap, time.monotonic() - served)


@dataclass
class Stage:
    """One healthy hub with a user at work, in a namespace of its own."""

    sandbox: Sandbox
    profile: Profile
    address: Address
    session: UserSession
    counting: Counting
    """A notebook of the user's, which must go on."""
    kept: dict[str, str] = field(default_factory=dict[str, str])
    _hours: int = 1

    def change(self) -> None:
        """There is something to deploy, for which the hub restarts."""
        self._hours += 1
        self.profile.change(server={"idle_timeout": f"{self._hours}h"})

    def deploy(self, *words: str) -> Ended:
        """Deploy by the shell command, to its end."""
        return self.flow("deploy", *words)

    def flow(self, name: str, *words: str) -> Ended:
        """Run a flow by the shell command, to its end."""
        return self.sandbox.flows(name, str(self.profile), *words)

    @contextmanager
    def changed(self, **parts: Any) -> Generator[None]:
        """The profile has these parts, for as long."""
        before = deepcopy(self.profile.text)
        self.profile.change(**parts)
        try:
            yield
        finally:
            self.profile.text = before
            self.profile.change()

    def healthy(self) -> bool:
        """Whether Helm finished the newest revision, and its checks passed."""
        newest = self.sandbox.history(self.profile)[-1]
        record = record_of(self.records(), newest["revision"])
        return newest["status"] == "deployed" and record is not None and record.healthy

    def records(self) -> tuple[ReleaseRecord, ...]:
        """What is on record, newest first."""
        return list_records(self.sandbox.kubernetes, self.profile.namespace, RELEASE)

    def status(self) -> str:
        """How Helm says that the newest revision stands."""
        return self.sandbox.history(self.profile)[-1]["status"]

    def wait_for_status(self, status: str) -> None:
        """The newest revision has this status."""
        wait_until("helm", status, lambda: "" if self.status() == status else "not yet", seconds=120, remedy="")

    def part(self, action: str, name: str) -> str:
        """Start or stop a part of the sandbox, or ask for its pid, by its supervisor."""
        server = f"unix://{self.sandbox.paths.supervisor_socket}"
        argv = [sys.executable, "-m", "supervisor.supervisorctl", "--serverurl", server, action, name]
        return subprocess.run(argv, capture_output=True, timeout=120, check=True, text=True).stdout

    def remember(self) -> None:
        """What must not be lost is known."""
        self.kept = self._precious()

    def lost(self) -> str:
        """What is not as it was remembered; "" when nothing is lost."""
        now = self._precious()
        try:
            self.counting.goes_on()
        except (AssertionError, HubError) as error:
            return f"a user's kernel: {error}"
        files = "".join(f"print(open({path!r}).read())\n" for path in FILES)
        if self.session.run_code(files).split() != ["precious"] * len(FILES):
            return "a user's files"
        return ", ".join(name for name, uid in self.kept.items() if now.get(name) != uid)

    def _precious(self) -> dict[str, str]:
        """Identities of claims, Secrets with keys, and the user's server, by name."""
        kubernetes, namespace = self.sandbox.kubernetes, self.profile.namespace
        found = [*kubernetes.list(CLAIM, namespace), *kubernetes.list(POD, namespace, "component=singleuser-server")]
        found += [one for name in ("hub", "hubwright-keys") if (one := kubernetes.read(SECRET, name, namespace))]
        mine = [one["metadata"] for one in found if "hubwright-check" not in one["metadata"]["name"]]
        return {meta["name"]: meta["uid"] for meta in mine}


New = Callable[[Sandbox, Path, str], Profile]
"""Makes a profile for a hub."""
Users = Callable[[Profile], UserSession]
"""How a user comes to a hub."""


@contextmanager
def open_stage(
    new: Callable[[Sandbox, Path, str], Profile] = new_profile, user: Users | None = None
) -> Generator[Stage]:
    """A healthy hub with a user's server, files and a kernel that counts; everything is deleted afterwards."""
    sandbox = open_sandbox()
    with tempfile.TemporaryDirectory() as folder:
        profile = new(sandbox, Path(folder), f"faults-{os.urandom(3).hex()}")
        try:
            ended = sandbox.flows("deploy", str(profile), "--json")
            assert ended.code == 0, ended.stderr[-3000:]
            with closing((user or _password_user)(profile)) as session:
                assert session.sign_in(SecretStr(profile.password.read_text().strip())) is Entry.IN
                session.start_server(120, lambda _text: None, lambda: None)
                session.run_code("".join(f"open({path!r}, 'w').write('precious')\n" for path in FILES))
                with Counting(session) as counting:
                    yield Stage(sandbox, profile, session.address, session, counting)
        finally:
            client.CoreV1Api(sandbox.api()).delete_namespace(profile.namespace)


def _password_user(profile: Profile) -> UserSession:
    hub = load_profile(str(profile))
    return UserSession(Address(hub.url, str(CLONE / str(hub.checks.ca)), hub.checks.address), USER)


def until(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether something came to hold in time."""
    try:
        wait_until("test", "hold", lambda: "" if holds() else "not yet", seconds=seconds, remedy="")
    except HubError:
        return False
    return True
