"""Renew a hub's robots before their time is over: none of them can do that itself, so a schedule has it done daily."""

from __future__ import annotations

from prefect import flow
from prefect.logging import get_run_logger

from config.profiles import load_profile
from flows.deploy import Profile
from flows.registry import look_at_harbor, set_up_if_needed
from flows.schedule import newest_turn_only
from tasks.core.artifacts import show_plan
from tasks.core.change import Plan
from tasks.core.problems import Gathering, require_ready


@flow(name="renew-robots", description="Renews the robots of a hub's Harbor, and puts back what else changed there.")
@newest_turn_only
def renew_robots(profile: Profile) -> Plan:
    """Harbor is as the profile says, and its robots are good for long enough; returns what changed.

    Nothing is written when that was so. A hub whose images are only read has no robots.
    """
    hub = load_profile(profile)
    looks = Gathering()
    plan = look_at_harbor(hub, looks)
    for problem in looks.problems:
        get_run_logger().warning("%s", problem)
    require_ready(hub.name, looks.problems, "a renewal of its robots")
    show_plan(f"{hub.name}-harbor", plan)
    set_up_if_needed(hub, plan)
    return plan
