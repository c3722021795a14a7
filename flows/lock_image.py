"""Lock the packages of a hub's notebook image anew, or propose it: what runs changes only by a rebuild of new locks."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from prefect.logging import get_run_logger

from config.profiles import load_profile
from flows.deploy import Profile
from flows.forms import asked
from tasks.core.artifacts import show_upgrades
from tasks.core.change import Plan
from tasks.core.problems import require_ready
from tasks.image.phase import build_of, check_engine, keep_locks, lock_packages, read_base
from tasks.registry.phase import pin_base

Propose = Annotated[bool, asked("Propose", "Show what newer packages would change, and write nothing.")]


@flow(name="lock-image", description="Looks which packages the lists of a hub's image stand for today.")
def lock_image(profile: Profile, propose: Propose = True) -> Plan:
    """The profile's locks are those of today, unless that is only proposed; returns what changes."""
    hub = load_profile(profile)
    build_of(hub)
    require_ready(hub.name, check_engine(hub), "a look at the base")
    fresh = lock_packages(hub, read_base(hub, pin_base(hub)))
    show_upgrades(hub.name, fresh.plan)
    for change in fresh.plan:
        get_run_logger().info("plan: %s", change)
    if not propose:
        keep_locks(hub, fresh.locks)
    return fresh.plan
