"""Which tags stay: immutable tags, and retention that deletes what no rule retains."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from starlette.responses import Response

from deployments.sandbox.harbor.answers import Refusal, answer, created, paged
from deployments.sandbox.harbor.asks import Ask, Harbor, Routes
from deployments.sandbox.harbor.inventory import delete, immutable, standing
from deployments.sandbox.harbor.selectors import selects_repository, selects_tags
from deployments.sandbox.harbor.store import Row, Store, now

RULES = "/projects/{project}/immutabletagrules"
RETENTION = "/retentions/{retention}"
MOST_RULES = 15
COUNTED = {"latestPushedK": "push_time", "latestPulledN": "pull_time"}
DATED = {"nDaysSinceLastPush": "push_time", "nDaysSinceLastPull": "pull_time"}
TEMPLATES = (*COUNTED, *DATED, "always")


def retained(rule: Row, candidates: list[Row], moment: str) -> set[int]:
    """Ids of the artifacts of one repository that a rule retains; each stands there with its ``tags``. Pure."""
    [selector] = rule["tag_selectors"][:1] or [{"decoration": "matches", "pattern": "**"}]
    taken = [row for row in candidates if selects_tags(selector, row["tags"])]
    template = rule["template"]
    limit = int((rule.get("params") or {}).get(template, 0))
    if template in COUNTED:
        taken = sorted(taken, key=lambda row: str(row[COUNTED[template]]), reverse=True)[:limit]
    if template in DATED:
        since = datetime.fromisoformat(moment) - timedelta(days=limit)
        taken = [row for row in taken if datetime.fromisoformat(row[DATED[template]]) >= since]
    return {row["id"] for row in taken}


async def _run(harbor: Harbor, retention: Row, execution: Row, by: tuple[str, str]) -> None:
    await asyncio.sleep(0)
    for repository in harbor.store.rows("repositories", project_id=retention["project_id"]):
        rules = [rule for rule in retention["rules"] if not rule.get("disabled")]
        about = repository["name"].partition("/")[2]
        applied = [rule for rule in rules if selects_repository(rule, about)]
        if applied:
            _apply(harbor, applied, repository, execution, by)
    execution.update(status="Success", end_time=now())


def _apply(harbor: Harbor, rules: list[Row], repository: Row, execution: Row, by: tuple[str, str]) -> None:
    """What no rule retains is gone, but for what is immutable; in a dry run it is only counted."""
    store, begun = harbor.store, now()
    rows = standing(store, repository["name"])
    candidates: list[Row] = [
        {**row, "tags": [tag["name"] for tag in store.rows("tags", artifact_id=row["id"])]} for row in rows
    ]
    kept = set[int]().union(*(retained(rule, candidates, begun) for rule in rules))
    kept |= {row["id"] for row in candidates if any(immutable(store, row, tag) for tag in row["tags"])}
    if not execution["dry_run"]:
        for row in rows:
            # A tagged part of an index stays: like Harbor, go on with the others.
            with suppress(Refusal):
                if row["id"] not in kept:
                    delete(harbor, row, by)
    store.add(
        "retention_tasks", execution_id=execution["id"], repository=repository["name"].partition("/")[2],
        status="Success", total=len(candidates), retained=len(kept), start_time=begun, end_time=now(),
    )  # fmt: skip


def _checked(ask: Ask) -> Row:
    """The policy of the body. Raises Refusal for what Harbor does not take."""
    body = ask.document()
    rules, scope, trigger = body.get("rules") or [], body.get("scope"), body.get("trigger")
    if not scope or not trigger:
        raise Refusal("UNKNOWN", "a retention without scope or trigger")
    if len(rules) > MOST_RULES:
        raise Refusal("BAD_REQUEST", "bad request: only 15 rules are allowed at most")
    plain = [{key: value for key, value in rule.items() if key != "id"} for rule in rules]
    if any(rule in plain[:place] for place, rule in enumerate(plain)):
        raise Refusal("CONFLICT", "resource conflict: rule is conflict with another rule")
    if any(rule.get("template") not in TEMPLATES for rule in rules):
        raise Refusal("BAD_REQUEST", "bad request: unknown rule template")
    if scope.get("level") != "project":
        raise Refusal("BAD_REQUEST", f"bad request: scope {scope.get('level')} is not support")
    about = {"algorithm": body.get("algorithm", "or"), "trigger": trigger, "scope": scope}
    return {
        **about,
        "project_id": scope.get("ref"),
        "rules": [{**rule, "id": place} for place, rule in enumerate(plain)],
    }


async def _create(ask: Ask) -> Response:
    wanted = _checked(ask)
    project = ask.store.one("projects", id=wanted["project_id"])
    ask.require(("tag-retention", "create"), project)
    if project is None:
        raise Refusal("BAD_REQUEST", f"bad request: invalid Project id {wanted['project_id']}")
    if seen := project["metadata"].get("retention_id"):
        raise Refusal("BAD_REQUEST", f"bad request: project {project['id']} already has retention policy {seen}")
    row = ask.store.add("retentions", **wanted)
    project["metadata"]["retention_id"] = str(row["id"])
    return created(ask.request, row["id"])


def _retention(ask: Ask, action: str) -> Row:
    ask.require_somebody()
    found = ask.store.one("retentions", id=ask.number("retention"))
    if found is None:
        raise Refusal("NOT_FOUND", f"retention policy {ask.path('retention')} not found")
    ask.require(("tag-retention", action), ask.store.one("projects", id=found["project_id"]))
    return found


async def _read(ask: Ask) -> Response:
    return answer({key: value for key, value in _retention(ask, "read").items() if key != "project_id"})


async def _update(ask: Ask) -> Response:
    _retention(ask, "update").update(_checked(ask))
    return Response()


async def _delete(ask: Ask) -> Response:
    row = _retention(ask, "delete")
    ask.store.remove("retentions", id=row["id"])
    for project in ask.store.rows("projects", id=row["project_id"]):
        del project["metadata"]["retention_id"]
    return Response()


async def _execute(ask: Ask) -> Response:
    row = _retention(ask, "update")
    execution = ask.store.add(
        "retention_executions", policy_id=row["id"], start_time=now(), status="Running", trigger="Manual",
        dry_run=bool(ask.document().get("dry_run")),
    )  # fmt: skip
    ask.harbor.begin(_run(ask.harbor, row, execution, ask.by))
    return created(ask.request, execution["id"])


async def _executions(ask: Ask) -> Response:
    return paged(ask.request, ask.store.rows("retention_executions", policy_id=_retention(ask, "list")["id"])[::-1])


async def _tasks(ask: Ask) -> Response:
    about = {"id": ask.number("execution"), "policy_id": _retention(ask, "list")["id"]}
    if not ask.store.one("retention_executions", **about):
        raise Refusal("NOT_FOUND", f"execution {ask.path('execution')} not found")
    return paged(ask.request, ask.store.rows("retention_tasks", execution_id=about["id"]))


def _rule(ask: Ask, project: Row) -> Row:
    found = ask.store.one("immutable_rules", id=ask.number("rule"), project_id=project["id"])
    if found is None:
        raise Refusal("NOT_FOUND", f"immutable rule {ask.path('rule')} not found")
    return found


def _wanted_rule(ask: Ask) -> Row:
    body = ask.document()
    wanted = {key: body.get(key) for key in ("action", "template", "tag_selectors", "scope_selectors")}
    if not wanted["tag_selectors"] or not (wanted["scope_selectors"] or {}).get("repository"):
        raise Refusal("BAD_REQUEST", "tag_selectors and scope_selectors are required")
    return wanted


def _check_new(store: Store, project: Row, wanted: Row) -> None:
    if store.one("immutable_rules", project_id=project["id"], **wanted):
        raise Refusal("CONFLICT", "immutable tag rule already exists")


async def _list_rules(ask: Ask) -> Response:
    project = ask.project(("immutable-tag", "list"))
    hidden = ("project_id",)
    rows = ask.store.rows("immutable_rules", project_id=project["id"])
    return paged(ask.request, [{key: value for key, value in row.items() if key not in hidden} for row in rows])


async def _create_rule(ask: Ask) -> Response:
    project = ask.project(("immutable-tag", "create"))
    wanted = _wanted_rule(ask)
    _check_new(ask.store, project, wanted)
    return created(
        ask.request, ask.store.add("immutable_rules", **wanted, project_id=project["id"], disabled=False)["id"]
    )


async def _update_rule(ask: Ask) -> Response:
    body = ask.document()
    if body.get("id") != ask.number("rule"):
        message = "bad request: the immutable_rule_id doesn't match the id in the payload body of ImmutableRule"
        raise Refusal("BAD_REQUEST", message)
    rule = _rule(ask, ask.project(("immutable-tag", "update")))
    disabled = bool(body.get("disabled"))
    # A change of this is the only one that is made.
    rule.update({"disabled": disabled} if disabled != rule["disabled"] else _wanted_rule(ask))
    return Response()


async def _delete_rule(ask: Ask) -> Response:
    project = ask.project(("immutable-tag", "delete"))
    ask.store.remove("immutable_rules", id=_rule(ask, project)["id"])
    return Response()


ROUTES: Routes = [
    ("POST", "/retentions", _create),
    ("GET", RETENTION, _read),
    ("PUT", RETENTION, _update),
    ("DELETE", RETENTION, _delete),
    ("POST", RETENTION + "/executions", _execute),
    ("GET", RETENTION + "/executions", _executions),
    ("GET", RETENTION + "/executions/{execution}/tasks", _tasks),
    ("GET", RULES, _list_rules),
    ("POST", RULES, _create_rule),
    ("PUT", RULES + "/{rule}", _update_rule),
    ("DELETE", RULES + "/{rule}", _delete_rule),
]
