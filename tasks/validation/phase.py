"""Phase validation: a user signed in, got a server with the right limits and volumes, ran code."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing

from prefect.logging import get_run_logger

from config.images import PinnedImage
from config.spec import Hub
from tasks.core.address import Address
from tasks.core.errors import HubError, Permanent
from tasks.core.kubernetes import Kubernetes
from tasks.core.records import CheckResult
from tasks.core.secrets import read_secret
from tasks.core.task import hub_task
from tasks.validation.checks import Check, Checks
from tasks.validation.client import UserSession


@hub_task(name="check hub", description="Signs in, starts a server and runs code, as a user would.")
def check_hub(hub: Hub, image: PinnedImage) -> tuple[CheckResult, ...]:
    """How each check ended, up to the first that failed. Leaves no server of the checking user's behind."""
    kubernetes = Kubernetes.connect()
    password = read_secret(hub.identity.password, kubernetes)
    admin_password = read_secret(hub.identity.admin_password or hub.identity.password, kubernetes)
    admins = hub.identity.admins
    with ExitStack() as stack:
        address = Address.of(hub)
        tester = stack.enter_context(closing(UserSession(address, hub.checks.user)))
        admin = stack.enter_context(closing(UserSession(address, admins[0]))) if admins else None
        say = get_run_logger().info
        return _run(Checks(hub, image, kubernetes, tester, admin, password, admin_password, say))


def require_passed(results: tuple[CheckResult, ...]) -> None:
    """Raises Permanent, with what was seen, when a check failed."""
    for result in results:
        if not result.passed:
            remedy = "mend what the check names, and deploy again"
            raise Permanent("hub", f"check that {result.name}", result.detail, remedy)


def _run(checks: Checks) -> tuple[CheckResult, ...]:
    results: list[CheckResult] = []
    for name, check in checks:
        results.append(_run_one(name, check))
        if not results[-1].passed:
            break
    return tuple(results)


def _run_one(name: str, check: Check) -> CheckResult:
    started = time.monotonic()
    try:
        passed, detail = True, check()
    except HubError as error:
        passed, detail = False, str(error)
    result = CheckResult(name=name, passed=passed, detail=detail, seconds=round(time.monotonic() - started, 1))
    log = get_run_logger().info if passed else get_run_logger().error
    log("%s %s (%.1f s): %s", "✓" if passed else "✗", name, result.seconds, detail)
    return result
