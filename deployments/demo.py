"""`make demo`: a hub from nothing, in the sandbox or in a cluster of the user's own."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from ruamel.yaml import YAML

from config.identity import PasswordIdentity
from config.profiles import BadProfile, load_profile
from config.spec import Hub
from deployments.sandbox import __main__ as sandbox
from deployments.sandbox.addresses import HUB, NODE_IP, PREFECT
from deployments.sandbox.contents import HUBS
from deployments.sandbox.environment import PREFECT_USER, as_shell, sandbox_environment
from deployments.sandbox.paths import Paths, write_if_changed
from tasks.core.errors import HubError
from tasks.core.process import run

DONE, FAILED, BAD_INPUT = 0, 1, 3
FLOW_SECONDS = 3600
SANDBOX_PROFILE = "sandbox"


def main(arguments: Sequence[str]) -> int:
    """Returns an exit code: 0 done, 1 failed, 3 bad input."""
    options = _parser().parse_args(arguments)
    started = time.monotonic()
    paths = Paths()
    try:
        profile = _profile(options.profile or SANDBOX_PROFILE, options.chart, paths)
        hub = load_profile(profile)
    except BadProfile as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    code = DONE if options.kubeconfig else sandbox.main(["up"])
    return code or _deploy(profile, hub, options.kubeconfig, paths, started)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make demo", description="Deploy a hub and check it as a user would.")
    parser.add_argument("--kubeconfig", help="a cluster of your own; without it the sandbox is started")
    parser.add_argument("--profile", help="name or path of a profile; without it that of the sandbox")
    parser.add_argument("--chart", help="path of a chart, or address of a repository, instead of the profile's")
    return parser


def _profile(profile: str, chart: str | None, paths: Paths) -> str:
    """The profile, or one that extends it by another chart."""
    if chart is None:
        return profile
    found = {"repository": chart} if "://" in chart else {"path": str(Path(chart).resolve())}
    source = {"repository": None, "path": None, "ca": None, **found}
    extended = {"extends": profile, "release": {"chart": source}}
    file = paths.state / "demo.yaml"
    file.parent.mkdir(exist_ok=True)
    with file.open("w") as stream:
        YAML().dump(extended, stream)
    return str(file)


def _deploy(profile: str, hub: Hub, kubeconfig: str | None, paths: Paths, started: float) -> int:
    environment = {**os.environ, "KUBECONFIG": str(Path(kubeconfig or paths.kubeconfig).resolve())}
    if kubeconfig is None:
        environment = sandbox_environment(paths)
        write_if_changed(paths.state / "env", as_shell(environment))
    console = Console(soft_wrap=True, highlight=False)
    # What the sandbox has installed runs in its work pools; any other profile, or cluster, from here.
    where = ["--remote"] if kubeconfig is None and profile in HUBS else []
    console.print(f"deploying {hub.name}{' by the work pools' if where else ''}")
    try:
        for name in ("rebuild-image", "deploy") if hub.image.build else ("deploy",):
            run(
                [sys.executable, "-m", "flows", name, profile, *where],
                env=environment,
                timeout=FLOW_SECONDS,
                remedy="mend what the lines above name, and run it again",
                on_line=lambda line: console.print(line, markup=False),
            )
    except HubError:
        print(f"{hub.name} was not deployed; the lines above say why, and what to do", file=sys.stderr)
        return FAILED
    console.print(_what_next(hub, profile, kubeconfig, paths), markup=False)
    console.print(f"done in {time.monotonic() - started:.0f} s")
    return DONE


def _what_next(hub: Hub, profile: str, kubeconfig: str | None, paths: Paths) -> str:
    lines = ["", f"  hub         {hub.url}", *_who_signs_in(hub)]
    if kubeconfig is None:
        # A browser on this machine knows neither these names nor the sandbox's CA.
        lines.insert(2, f"  in browser  {_for_a_browser(hub)}")
        lines += [
            f"  Prefect UI  {PREFECT}, which asks for {PREFECT_USER}: and the text of {paths.prefect_password}",
            *("", "  next: . .sandbox/env  then"),
        ]
    return "\n".join([*lines, f"  python -m flows deploy {profile} --plan-only", ""])


def _who_signs_in(hub: Hub) -> list[str]:
    identity = hub.identity
    if isinstance(identity, PasswordIdentity):
        admin = identity.admins[0] if identity.admins else "any name"
        return [f"  user        {admin} (an admin), or any other name", f"  password    is in the {identity.password}"]
    admin = f"{hub.checks.admin.user} (an admin), " if hub.checks.admin else ""
    return [f"  user        {admin}{hub.checks.user}", f"  password    is in the {hub.checks.password}"]


def _for_a_browser(hub: Hub) -> str:
    if hub.release.node_port:
        return HUB
    hosts = [urlsplit(hub.url).hostname or ""]
    if not isinstance(hub.identity, PasswordIdentity):
        hosts.append(urlsplit(hub.identity.issuer).hostname or "")
    return f"once /etc/hosts has “{NODE_IP} {' '.join(hosts)}” and the browser trusts .sandbox/pki/ca.crt"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
