"""Phase validation: a user signed in, got a server with the right limits and volumes, ran code."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing

import httpx
from prefect.logging import get_run_logger

from config.identity import PasswordIdentity
from config.images import PinnedImage
from config.secrets import SecretRef
from config.spec import Hub
from tasks.core.address import Address
from tasks.core.artifacts import show_picture
from tasks.core.errors import HubError, Permanent
from tasks.core.kubernetes import Kubernetes
from tasks.core.record import CheckResult
from tasks.core.secrets import read_secret
from tasks.core.task import hub_task
from tasks.validation.checks import Check, all_checks
from tasks.validation.client import UserSession
from tasks.validation.entry import Door, PasswordDoor, ProviderDoor
from tasks.validation.entry_checks import EntryChecks
from tasks.validation.people import People, Person
from tasks.validation.picture import take_picture
from tasks.validation.server_checks import ServerChecks


@hub_task(name="check hub", description="Signs in, starts a server and runs code, as a user would.")
def check_hub(hub: Hub, image: PinnedImage) -> tuple[CheckResult, ...]:
    """How each check ended, up to the first that failed. Leaves no server of the checking user's behind."""
    kubernetes = Kubernetes.connect()
    with ExitStack() as stack:
        people = _open_people(hub, kubernetes, stack)
        server = ServerChecks(hub, image, kubernetes, people.tester.session, get_run_logger().info)
        checks = all_checks(EntryChecks(hub, people), server)
        results = _run(_with_picture(checks, server.check_stop, hub, people.tester.session))
        if not results[-1].passed:
            _tidy_up(people.tester)
        return results


def require_passed(results: tuple[CheckResult, ...]) -> None:
    """Raises Permanent, with what was seen, when a check failed."""
    for result in results:
        if not result.passed:
            remedy = "mend what the check names, and deploy again"
            raise Permanent("hub", f"check that {result.name}", result.detail, remedy)


def _open_people(hub: Hub, kubernetes: Kubernetes, stack: ExitStack) -> People:
    """The people of the checks, before they sign in; said in the log who is not named, and so not checked as."""
    door = _door(hub)

    def person(user: str, password: SecretRef) -> Person:
        session = stack.enter_context(closing(UserSession(Address.of(hub), user, door)))
        return Person(session, read_secret(password, kubernetes))

    identity, checks = hub.identity, hub.checks
    if isinstance(identity, PasswordIdentity):
        tester = person(checks.user, identity.password)
        admin = person(identity.admins[0], identity.admin_password or identity.password) if identity.admins else None
        return People(tester, admin)
    for name in ("admin", "outsider"):
        if getattr(checks, name) is None:
            get_run_logger().warning("not checked, because checks.%s is not given: what such a user meets", name)
    assert checks.password, "the spec asks for it"
    return People(
        person(checks.user, checks.password),
        person(checks.admin.user, checks.admin.password) if checks.admin else None,
        person(checks.outsider.user, checks.outsider.password) if checks.outsider else None,
    )


def _door(hub: Hub) -> Door:
    identity = hub.identity
    if isinstance(identity, PasswordIdentity):
        return PasswordDoor()
    return ProviderDoor(Address.of(hub), Address(identity.issuer, identity.ca, identity.address, "identity.ca"))


def _tidy_up(tester: Person) -> None:
    """A server that did not come up as it should does not stay, to be met by the checks of the next release."""
    try:
        tester.session.stop_server()
    except HubError as error:
        get_run_logger().warning("the server of %s may still be there: %s", tester.session.user, error)


def _with_picture(
    checks: Iterable[tuple[str, Check]], stop: Check, hub: Hub, tester: UserSession
) -> Iterator[tuple[str, Check]]:
    """The same checks; before the tester's server stops, a picture of it is taken where the profile names a browser."""
    for name, check in checks:
        if check == stop and hub.checks.browser:
            _take_picture(hub.name, hub.checks.browser, tester)
        yield name, check


def _take_picture(hub: str, browser: str, tester: UserSession) -> None:
    """A picture is in the UI, or the log says why not: a hub is no worse for it."""
    log, started = get_run_logger(), time.monotonic()
    try:
        picture = take_picture(browser, tester)
        show_picture(hub, picture.url)
    except (HubError, httpx.HTTPError) as error:  # the latter from Prefect's API
        log.warning("there is no picture of JupyterLab: %s", error)
    else:
        seconds, size = time.monotonic() - started, len(picture.content) / 1000
        log.info("a picture of JupyterLab is among the artifacts, as picture-%s (%.0f KB, %.1f s)", hub, size, seconds)


def _run(checks: Iterable[tuple[str, Check]]) -> tuple[CheckResult, ...]:
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
