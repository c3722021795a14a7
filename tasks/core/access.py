"""What an account may do, as SelfSubjectRulesReview (authorization.k8s.io/v1) tells it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tasks.core.objects import Access, Body
from tasks.core.problems import Problem

EVERYTHING = "*"


def missing_access(wanted: Iterable[Access], rules: Sequence[Body]) -> tuple[Access, ...]:
    """Which of these no rule grants. Rules for objects of certain names do not count."""
    return tuple(access for access in wanted if not any(_grants(rule, access) for rule in rules))


def access_problems(missing: Iterable[Access]) -> tuple[Problem, ...]:
    """One problem for each kind of object, since one line of a Role mends it."""
    verbs: dict[tuple[str, str], set[str]] = {}
    for access in missing:
        verbs.setdefault((access.where, access.resource), set()).add(access.verb)
    return tuple(
        Problem(
            f"permission to {', '.join(sorted(found))} {resource} {where}",
            "this account does not have it",
            "give it these verbs by a Role and a RoleBinding (in the whole cluster: ClusterRole, ClusterRoleBinding)",
        )
        for (where, resource), found in verbs.items()
    )


def _grants(rule: Body, access: Access) -> bool:
    asked = (("verbs", access.verb), ("apiGroups", access.kind.group), ("resources", access.kind.plural))
    named = bool(rule.get("resourceNames"))
    return not named and all({EVERYTHING, value} & set(rule.get(field) or ()) for field, value in asked)
