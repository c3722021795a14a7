"""`python -m flows`: the flows from a shell, with exit codes and JSON for scripts."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import IntEnum
from functools import partial

from rich.console import Console
from rich.table import Column, Table

from config.profiles import BadProfile, load_profile, profile_names
from config.spec import Hub
from config.types import parse_duration
from flows.converge import Outcome, converge
from flows.deploy import DeployResult, deploy
from flows.endings import DRIFT, PLANNED
from flows.lock_image import lock_image
from flows.rebuild_image import RebuildResult, rebuild_image
from flows.remote import run_remotely
from flows.renew_robots import renew_robots
from flows.rollback import rollback
from flows.shell import Parser
from flows.teardown import teardown
from tasks.core.change import Plan
from tasks.core.errors import HubError


class Exit(IntEnum):
    """How the command ended."""

    DONE = 0
    FAILED = 1
    CHANGES = 2
    """The plan is not empty, and only the plan was asked for; or the hub is not as it should be, and stays so."""
    BAD_INPUT = 3


def main(arguments: Sequence[str]) -> Exit:
    """Run one flow; logs go to standard error, the result to standard output."""
    options = _parser().parse_args(arguments)
    try:
        hub = load_profile(options.profile)
    except BadProfile as error:
        print(error, file=sys.stderr)
        return Exit.BAD_INPUT
    if options.builds and hub.image.build is None:
        print(f"{options.profile}: image.build is missing: say there how the image is made", file=sys.stderr)
        return Exit.BAD_INPUT
    if options.remote and options.profile not in profile_names():
        print(f"--remote takes a profile by name: {', '.join(profile_names())}", file=sys.stderr)
        return Exit.BAD_INPUT
    if options.timeout and not options.remote:
        print("--timeout is for --remote: it says how long that run is followed", file=sys.stderr)
        return Exit.BAD_INPUT
    try:
        return _run_remotely(hub, options) if options.remote else options.run(options)
    except HubError as error:
        print(error, file=sys.stderr)
        return Exit.FAILED


def _run_remotely(hub: Hub, options: argparse.Namespace) -> Exit:
    parameters = {name: getattr(options, name) for name in ("profile", *options.parameters)}
    say = partial(print, file=sys.stderr, flush=True)
    ended = run_remotely(hub, options.flow, parameters, say, options.timeout)
    print(json.dumps(asdict(ended)) if options.json else f"{ended.state}: {ended.message}".rstrip(": "))
    if not ended.completed:
        return Exit.FAILED
    return Exit.CHANGES if ended.state in (DRIFT, PLANNED) else Exit.DONE


def _deploy(options: argparse.Namespace) -> Exit:
    result = deploy(options.profile, plan_only=options.plan_only, image=options.image)
    _show(result, as_json=options.json)
    return Exit.CHANGES if options.plan_only and not result.plan.empty else Exit.DONE


def _rollback(options: argparse.Namespace) -> Exit:
    result = rollback(options.profile, to=options.to, plan_only=options.plan_only)
    if options.json:
        print(result.model_dump_json())
    else:
        _show(DeployResult(plan=result.plan, record=result.record), as_json=False)
        for left in result.left_behind:
            print(f"left behind, and nothing refers to it any more: {left}")
    return Exit.CHANGES if options.plan_only and not result.plan.empty else Exit.DONE


def _converge(options: argparse.Namespace) -> Exit:
    result = converge(options.profile, repair=options.repair)
    print(result.model_dump_json() if options.json else f"{result.outcome}: {result.reason}")
    return Exit.CHANGES if result.outcome is Outcome.DRIFT else Exit.DONE


def _teardown(options: argparse.Namespace) -> Exit:
    plan = teardown(options.profile, confirm=options.confirm, volumes=options.volumes)
    _show_plan(plan, "Nothing is there to take down.", as_json=options.json)
    return Exit.CHANGES if not options.confirm and not plan.empty else Exit.DONE


def _rebuild_image(options: argparse.Namespace) -> Exit:
    result = rebuild_image(options.profile, force=options.force, deploy_after=options.deploy_after)
    _show_image(result, as_json=options.json)
    return Exit.DONE


def _renew_robots(options: argparse.Namespace) -> Exit:
    _show_plan(renew_robots(options.profile), "Nothing to renew.", as_json=options.json)
    return Exit.DONE


def _lock_image(options: argparse.Namespace) -> Exit:
    plan = lock_image(options.profile, propose=options.propose)
    _show_plan(plan, "Nothing to change: the locks are those of today.", as_json=options.json)
    return Exit.CHANGES if options.propose and not plan.empty else Exit.DONE


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m flows", description="Run a flow of Hubwright.")
    parser.set_defaults(flow="", remote=False, timeout=None, builds=False)
    flows = parser.add_subparsers(required=True, metavar="FLOW", parser_class=Parser)
    _add_hub_flows(flows.add_parser)
    _add_image_flows(flows.add_parser)
    remote = "run it where it is deployed, and follow its log (PREFECT_API_URL says where Prefect is)"
    timeout = "with --remote: follow it for so long at most, like 30m (default: 1h, rebuild-image 2h); then it goes on"
    for each in flows.choices.values():
        each.add_argument("profile", help=f"{', '.join(profile_names())}, or the path of a .yaml")
        each.add_argument("--json", action="store_true", help="print the result as JSON")
        if each.get_default("flow"):
            each.add_argument("--remote", action="store_true", help=remote)
            each.add_argument("--timeout", type=parse_duration, metavar="DURATION", help=timeout)
    return parser


def _add_hub_flows(add: Callable[..., argparse.ArgumentParser]) -> None:
    plan_only = "show what would change (exit code 2), and stop"
    one = add("deploy", help="deploy a hub, check it as a user would, record it")
    one.add_argument("--plan-only", action="store_true", help=plan_only)
    one.add_argument("--image", metavar="DIGEST", help="run this notebook image, whatever the profile's tag stands for")
    one.set_defaults(run=_deploy, flow="deploy", parameters=("plan_only", "image"))
    one = add("rollback", help="go back to a release that passed its checks, and check it again")
    one.add_argument("--to", type=int, metavar="REVISION", help="which (default: the newest before the present one)")
    one.add_argument("--plan-only", action="store_true", help=plan_only)
    one.set_defaults(run=_rollback, flow="rollback", parameters=("to", "plan_only"))
    one = add("converge", help="look whether a hub is as it should be (exit code 2 when not); for a schedule")
    one.add_argument("--repair", action="store_true", help="put right what is found")
    one.set_defaults(run=_converge, flow="converge", parameters=("repair",))
    one = add("teardown", help="take a hub down; shows the plan (exit code 2) unless it is confirmed")
    one.add_argument("--confirm", default="", metavar="HUB", help="the hub's name: take it down, and keep its volumes")
    one.add_argument("--volumes", default="", metavar="HUB", help="its name again: delete its users' volumes too")
    one.set_defaults(run=_teardown, flow="teardown", parameters=("confirm", "volumes"))
    one = add("renew-robots", help="renew the robots of the hub's Harbor before their time is over")
    one.set_defaults(run=_renew_robots, flow="renew-robots", parameters=())


def _add_image_flows(add: Callable[..., argparse.ArgumentParser]) -> None:
    one = add("rebuild-image", help="build the notebook image if something changed, push it, scan it")
    one.add_argument("--force", action="store_true", help="build also when Harbor has an image of the same inputs")
    one.add_argument("--deploy-after", action="store_true", help="then deploy the hub with exactly this image")
    one.set_defaults(run=_rebuild_image, flow="rebuild-image", parameters=("force", "deploy_after"), builds=True)
    one = add("lock-image", help="look which packages the image's lists stand for today, and lock them")
    one.add_argument("--propose", action="store_true", help="show what would change (exit code 2), and write nothing")
    one.set_defaults(run=_lock_image, builds=True)


def _show_image(result: RebuildResult, *, as_json: bool) -> None:
    if as_json:
        print(result.model_dump_json())
        return
    print(f"{result.image}\n{'built' if result.built else 'nothing changed'}; tags {', '.join(result.tags)}")


def _show(result: DeployResult, *, as_json: bool) -> None:
    if as_json:
        record = result.record.model_dump(mode="json") if result.record else None
        checks = [check.model_dump(mode="json") for check in result.checks]
        print(json.dumps({"plan": [asdict(change) for change in result.plan], "record": record, "checks": checks}))
        return
    console = Console()
    console.print(_plan_table(result.plan))
    for check in result.checks:
        sign = "✓" if check.passed else "✗"
        console.print(f"{sign} {check.name} ({check.seconds:.1f} s): {check.detail}", markup=False, soft_wrap=True)


def _show_plan(plan: Plan, nothing: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"plan": [asdict(change) for change in plan]}))
    else:
        Console().print(_plan_table(plan, nothing))


def _plan_table(plan: Plan, nothing: str = "Nothing to change: everything is as it should be.") -> Table | str:
    if plan.empty:
        return nothing
    table = Table(*(Column(name, overflow="fold") for name in ("action", "what", "before", "after")), title="Plan")
    for change in plan:
        table.add_row(change.action.value, change.what, change.before, change.after)
    return table


if __name__ == "__main__":
    # Prefect says some things by way of the root logger; a result on standard output stays clean of them.
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    sys.exit(main(sys.argv[1:]))
