"""`python -m deployments.register`: work pools, deployments and automations are as the installation says."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

from config.profiles import BadProfile
from deployments.register.automations import ensure_automations
from deployments.register.declared import Declared, declare
from deployments.register.deployments import ensure_deployments
from deployments.register.installation import BadInstallation, Installation, hubs_of, load_installation
from deployments.register.pools import ensure_pools
from deployments.register.server import Server, open_server
from flows.shell import Parser
from tasks.core.errors import HubError
from tasks.core.problems import Problem

log = logging.getLogger("deployments.register")


class Exit(IntEnum):
    """How the command ended."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 3


def main(arguments: Sequence[str]) -> Exit:
    """Register the installation; each change is a line in the log, on standard error."""
    parser = Parser(prog="python -m deployments.register", description="Register an installation's hubs with Prefect.")
    parser.add_argument("--installation", type=Path, metavar="FILE", help="the installation file")
    try:
        installation = load_installation(parser.parse_args(arguments).installation)
        declared = declare_all(installation)
    except (BadInstallation, BadProfile) as error:
        print(error, file=sys.stderr)
        return Exit.BAD_INPUT
    try:
        with open_server() as server:
            register(server, installation, declared)
    except HubError as error:
        print(error, file=sys.stderr)
        return Exit.FAILED
    return Exit.DONE


def declare_all(installation: Installation) -> tuple[Declared, ...]:
    """The deployments of every hub. Raises BadInstallation when one needs a work pool that is not there."""
    declared = [one for profile, hub in hubs_of(installation) for one in declare(profile, hub, installation.image)]
    missing = sorted({one.work_pool.name for one in declared} - installation.pools.keys())
    if missing:
        remedy = "add its base job template"
        raise BadInstallation([Problem(f"pools.{name}", "is missing: flows run in it", remedy) for name in missing])
    return tuple(declared)


def register(server: Server, installation: Installation, declared: Sequence[Declared]) -> None:
    """Prefect has the pools, deployments and automations. A second time, nothing is written."""
    log.info("work pools: %s", ", ".join(installation.pools))
    ensure_pools(server, installation)
    log.info("deployments: %d, of %d hubs", len(declared), len(installation.hubs))
    ids = ensure_deployments(server, declared)
    log.info("automations: %s is told of trouble", installation.notify or "nobody")
    ensure_automations(server, installation, sorted({one.name for one in declared}), ids)
    log.info("nothing to change" if server.changed.empty else f"{len(server.changed.changes)} changes made")


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    sys.exit(main(sys.argv[1:]))
