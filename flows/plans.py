"""How a flow tells its plan: as a table in the UI, and line by line in the log."""

from __future__ import annotations

from prefect.logging import get_run_logger

from config.spec import Hub
from tasks.core.artifacts import show_plan
from tasks.core.change import Plan


def tell_plan(hub: Hub, plan: Plan) -> None:
    """Everybody who looks sees what will change, before anything is touched."""
    show_plan(hub.name, plan)
    for change in plan:
        get_run_logger().info("plan: %s", change)
