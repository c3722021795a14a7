"""The sandbox from a shell: ``python -m deployments.sandbox up|down|status [--json]``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from rich.console import Console

from deployments.sandbox.machine import Refused
from deployments.sandbox.ownership import read_owner, sole_command
from deployments.sandbox.paths import Paths
from deployments.sandbox.progress import Steps
from deployments.sandbox.removal import check_owner, exists, stop
from deployments.sandbox.status import as_document, as_table, read_status
from deployments.sandbox.up import bring_up
from tasks.core.errors import HubError

DONE, FAILED, BAD_INPUT = 0, 1, 3
COLD_SECONDS = 60.0
"""A start that took longer shows where the time went."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 1 failed or unhealthy, 3 refused."""
    arguments = _parser().parse_args(argv)
    paths = Paths()
    console = Console(stderr=False, soft_wrap=True, highlight=False)
    try:
        match arguments.command:
            case "up":
                return _up(paths, console)
            case "down":
                return _down(paths, console)
            case _:
                return _status(paths, console, as_json=arguments.json)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return BAD_INPUT
    except HubError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from here.", file=sys.stderr, flush=True)
        os._exit(FAILED)  # without waiting for the threads of other steps, which all may be ended at any time


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deployments.sandbox", description="The embedded cluster.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="build what is missing and start everything")
    commands.add_parser("down", help="stop everything; the cluster's data stays")
    status = commands.add_parser("status", help="health and address of each part")
    status.add_argument("--json", action="store_true", help="for scripts")
    return parser


def _up(paths: Paths, console: Console) -> int:
    with Steps(console) as steps:
        bring_up(paths, steps)
    if steps.elapsed > COLD_SECONDS:
        console.print(steps.table())
    return DONE


def _down(paths: Paths, console: Console) -> int:
    if os.geteuid() != 0:
        raise Refused("Stopping the sandbox needs root: run it with sudo.")
    if not exists(paths):
        console.print("no sandbox runs")
        return DONE
    with sole_command(paths), Steps(console) as steps:
        check_owner(paths)
        stop(paths, steps)
    return DONE


def _status(paths: Paths, console: Console, *, as_json: bool) -> int:
    parts = read_status(paths)
    if as_json:
        print(json.dumps(as_document(paths, parts), indent=2))
    else:
        console.print(as_table(parts))
        owner = read_owner(paths)
        if owner not in (None, paths.state):
            console.print(f"the sandbox of this machine is of {owner.parent if owner else owner}")
    return DONE if all(part.healthy for part in parts) else FAILED


if __name__ == "__main__":
    sys.exit(main())
