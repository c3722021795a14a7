"""What stands in the way in a Harbor, and what is only worth knowing."""

from __future__ import annotations

from typing import Any

import pytest

from config.spec import Hub
from tasks.registry.preflight import registry_problems
from tasks.registry.state import KeptLogin, Kind, SeenHarbor, SeenProject
from tests.harbors import NOW, harbor_with, hub_with, kept_of

HUB = hub_with()
EXPIRED = hub_with(gate={"allowed": [{"id": "CVE-1", "until": "2026-11-22", "reason": "x"}]})
ALLOWED = hub_with(gate={"allowed": [{"id": "CVE-1", "until": "2026-11-23", "reason": "x"}]})
STRICT = hub_with(gate={"without_scanner": "fail"})
OTHERS: dict[str, Any] = {
    "rules": [{"template": "always", "scope_selectors": {}}],
    "trigger": {"settings": {"cron": "0 0 4 * * *"}},
}
FOREIGN = {**kept_of(HUB), Kind.PULL: KeptLogin({"type": "Opaque"}, None, "holds no login")}

CASES: dict[str, tuple[Hub, SeenHarbor, list[tuple[bool, str]]]] = {
    "nothing": (HUB, harbor_with(HUB), []),
    "nothing yet": (HUB, SeenHarbor(False, True), []),
    "of a system administrator": (HUB, harbor_with(HUB, project=SeenProject(1, None, 7)), []),
    "read-only": (
        HUB,
        harbor_with(HUB, read_only=True),
        [(True, "Harbor: it is in read-only mode: nothing can be set up, and nothing pushed")],
    ),
    "hidden": (
        HUB,
        SeenHarbor(False, True, hidden=True),
        [(True, "Project iav: it is there, and user hubwright may not see it")],
    ),
    "no administrator": (
        HUB,
        SeenHarbor(False, True, project=SeenProject(1, 2, None)),
        [(True, "Project iav: user hubwright is no administrator of it, but of role 2 (administrators: 1)")],
    ),
    "may not make it": (
        HUB,
        SeenHarbor(False, False),
        [(True, "Project iav: it is not there, and user hubwright may make none")],
    ),
    "disabled robots": (
        HUB,
        harbor_with(HUB, {kind: {"disabled": True} for kind in Kind}),
        [
            (True, "Robot lab-build: somebody disabled it, so it is left so"),
            (True, "Robot lab-pull: somebody disabled it, so it is left so"),
        ],
    ),
    "a Secret of another type": (
        HUB,
        harbor_with(HUB, kept=FOREIGN),
        [(True, "Secret hubwright-pull: it is of type Opaque, not kubernetes.io/dockerconfigjson")],
    ),
    "no scanner": (
        HUB,
        harbor_with(HUB, scanner=False),
        [(False, "Project iav: it has no scanner, so no image is looked at for vulnerabilities")],
    ),
    "no scanner, and one is needed": (
        STRICT,
        harbor_with(STRICT, scanner=False),
        [(True, "Project iav: it has no scanner, so no image is looked at for vulnerabilities")],
    ),
    "a schedule of others": (
        HUB,
        harbor_with(HUB, retention=OTHERS),
        [
            (
                False,
                "Retention of project iav: it runs at 0 0 4 * * *, which other rules wait for,"
                " and not when the profile says: it is left so",
            )
        ],
    ),
    "an allowance whose day has passed": (
        EXPIRED,
        harbor_with(EXPIRED),
        [(False, "Vulnerability CVE-1: it was allowed until 2026-11-22, and stops an image again")],
    ),
    "an allowance on its last day": (ALLOWED, harbor_with(ALLOWED), []),
}


@pytest.mark.parametrize("case", CASES)
def test_problems_by_what_is_seen(case: str) -> None:
    hub, seen, problems = CASES[case]
    found = registry_problems(hub, seen, NOW)
    assert [(one.fatal, f"{one.what}: {one.found}") for one in found] == problems
    assert all(one.remedy for one in found)
