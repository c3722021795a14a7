"""What an account may do, as the rules of a review tell it."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.core.access import access_problems, missing_access
from tasks.core.objects import DEPLOYMENT, SECRET, Access

READ = Access("get", SECRET, "n")
WRITE = Access("patch", DEPLOYMENT, "n")


def _rule(verbs: list[str], groups: list[str], resources: list[str], **more: Any) -> dict[str, Any]:
    return {"verbs": verbs, "apiGroups": groups, "resources": resources, **more}


@pytest.mark.parametrize(
    ("rules", "missing"),
    [
        ([], (READ, WRITE)),
        ([_rule(["*"], ["*"], ["*"])], ()),
        ([_rule(["get"], [""], ["secrets"]), _rule(["patch"], ["apps"], ["deployments"])], ()),
        ([_rule(["get", "patch"], [""], ["secrets", "deployments"])], (WRITE,)),
        ([_rule(["list"], [""], ["*"])], (READ, WRITE)),
        ([_rule(["get"], [""], ["secrets"], resourceNames=["one"])], (READ, WRITE)),
        ([{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}], (READ, WRITE)),
    ],
)
def test_what_no_rule_grants_is_missing(rules: list[dict[str, Any]], missing: tuple[Access, ...]) -> None:
    assert missing_access((READ, WRITE), rules) == missing


def test_one_problem_for_each_kind_names_every_verb() -> None:
    wanted = [Access("create", SECRET, "n"), READ, WRITE, Access("create", SECRET, None)]
    assert [problem.what for problem in access_problems(wanted)] == [
        "permission to create, get secrets in namespace n",
        "permission to patch deployments.apps in namespace n",
        "permission to create secrets in the whole cluster",
    ]
