"""The supervisor of the sandbox's parts: supervisord, which starts them, restarts them and keeps their logs."""

from __future__ import annotations

import http.client
import shlex
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ServerProxy, Transport

from deployments.sandbox.cgroup import procs_files
from deployments.sandbox.network import IN_NAMESPACE
from deployments.sandbox.paths import Paths, write_if_changed
from tasks.core.errors import Permanent
from tasks.core.process import run
from tasks.core.wait import POLL_SECONDS, wait_until

IDENTIFIER = "hubwright"
START_SECONDS = 30.0
STOP_SECONDS = 30.0
CALL_SECONDS = 60.0
UNREACHABLE = (OSError, http.client.HTTPException)
LAST_LINES = 12
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ABSENT = "ABSENT"
GIVEN_UP = ("FATAL", "EXITED", "UNKNOWN")
_JOIN_AND_RUN = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 1; shift; done; shift; exec "$@"'
"""A shell line: becomes a member of the cgroups before ``--``, then runs what stands after it."""


@dataclass(frozen=True)
class Program:
    """What the supervisor is to run. With another ``version`` it is started anew."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    version: str


def render_supervisord(paths: Paths) -> str:
    """The supervisor's own configuration. Pure."""
    return f"""\
[supervisord]
identifier={IDENTIFIER}
logfile={_literal(paths.log("supervisor"))}
logfile_maxbytes=5MB
logfile_backups=1
pidfile={_literal(paths.run / "supervisor.pid")}
childlogdir={_literal(paths.logs)}
umask=022
minprocs=1

[unix_http_server]
file={_literal(paths.supervisor_socket)}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[include]
files={_literal(paths.programs)}/*.conf
"""


def render_program(program: Program, log: Path) -> str:
    """The supervisor's configuration of one program. Pure."""
    environment = {**program.environment, "HUBWRIGHT_CONFIGURATION": program.version}
    pairs = ",".join(f'{name}="{_literal(value)}"' for name, value in sorted(environment.items()))
    return f"""\
[program:{program.name}]
command={_literal(shlex.join(program.argv))}
environment={pairs}
autostart=false
autorestart=true
startsecs=1
startretries=3
stopwaitsecs=3
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={_literal(log)}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=1
"""


def _literal(value: object) -> str:
    """Text as it is: supervisord would replace what stands after a percent sign."""
    return str(value).replace("%", "%%")


class Supervisor:
    """Talks to the supervisor of a sandbox. May be used by several threads at once."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._lock = threading.Lock()

    def answers(self) -> bool:
        """Whether it runs, and is not about to end."""
        try:
            return self._call("getIdentification") == IDENTIFIER
        except (Fault, *UNREACHABLE):
            return False

    def ensure_running(self) -> None:
        """It runs, inside the sandbox's network namespace and cgroup, and so will all that it starts."""
        if self.answers():
            return
        config = self._paths.config / "supervisord.conf"
        write_if_changed(config, render_supervisord(self._paths))
        self._paths.programs.mkdir(parents=True, exist_ok=True)
        self._paths.supervisor_socket.unlink(missing_ok=True)
        run(
            _in_sandbox([sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]),
            timeout=START_SECONDS,
            env={"PATH": PATH, "HOME": str(self._paths.state)},
            remedy=f"read {self._paths.log('supervisor')}",
        )
        log = self._paths.log("supervisor")
        remedy = f"read {log}, then `make down` and `make up`"
        wait_until("supervisor", "start", self._missing, seconds=START_SECONDS, remedy=remedy)

    def state(self, name: str) -> str:
        """Supervisord's word for how a program is (RUNNING, STARTING, BACKOFF, FATAL …), or ``ABSENT``."""
        try:
            answer = cast("dict[str, Any]", self._call("getProcessInfo", name))
        except Fault:
            return ABSENT
        return str(answer["statename"])

    def ensure_started(self, program: Program) -> bool:
        """The program was told to run as it is now configured; returns whether it had to be started."""
        file = self._paths.programs / f"{program.name}.conf"
        with self._lock:
            written = write_if_changed(file, render_program(program, self._paths.log(program.name)))
            if not written and self.state(program.name) in ("RUNNING", "STARTING"):
                return False
            self._load(program.name)
            if self.state(program.name) not in ("RUNNING", "STARTING", "BACKOFF"):
                self._start(program.name)
            return True

    def check_runs(self, name: str) -> None:
        """Raises Permanent when a program ended and is not tried again."""
        state = self.state(name)
        if state in (*GIVEN_UP, ABSENT):
            raise Permanent(name, "run", f"it is {state}", self.advice(name))

    def last_words(self, name: str) -> str:
        """The end of a program's log."""
        log = self._paths.log(name)
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join(f"    {line}" for line in lines[-LAST_LINES:]) or "    (nothing)"

    def advice(self, name: str) -> str:
        """What somebody can do about a program that does not run."""
        return f"read all of {self._paths.log(name)}, mend the cause, then `make up` again"

    def shut_down(self) -> None:
        """It had time to stop its programs and itself. Whoever calls this kills what is left after it."""
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            try:
                self._call("shutdown")
            except Fault:
                time.sleep(POLL_SECONDS)  # it is at it
            except UNREACHABLE:
                return

    def _start(self, name: str) -> None:
        try:
            self._call("startProcess", name, False)
        except Fault as fault:
            raise Permanent(name, "start", fault.faultString, self.advice(name)) from fault

    def _missing(self) -> str:
        return "" if self.answers() else "supervisord does not answer"

    def _load(self, name: str) -> None:
        """The supervisor knows the program by the file that was written."""
        [[added, changed, _removed]] = cast("list[list[list[str]]]", self._call("reloadConfig"))
        if name in changed:
            self._call("stopProcessGroup", name)
            self._call("removeProcessGroup", name)
        if name in changed or name in added:
            self._call("addProcessGroup", name)

    def _call(self, method: str, *arguments: Any) -> object:
        method = method if "." in method else f"{method}"
        transport = _UnixTransport(self._paths.supervisor_socket)
        with closing(transport), ServerProxy("http://supervisor", transport=transport) as server:
            return getattr(server.supervisor, method)(*arguments)


def _in_sandbox(argv: Sequence[str]) -> list[str]:
    """The command, run as a member of the sandbox's cgroup and network namespace."""
    cgroups = [str(file) for file in procs_files()]
    return ["sh", "-c", _JOIN_AND_RUN, "sh", *cgroups, "--", *IN_NAMESPACE, *argv]


class _UnixTransport(Transport):
    """XML-RPC over a Unix socket, with a timeout."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _UnixConnection(host, self._path)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, host: str, path: Path) -> None:
        super().__init__(host, timeout=CALL_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
