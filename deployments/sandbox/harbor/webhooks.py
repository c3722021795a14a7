"""Webhook policies, and their deliveries: three attempts of three seconds each, with a history."""

from __future__ import annotations

import asyncio
import random
import time
from urllib.parse import urlsplit

import httpx
from starlette.responses import PlainTextResponse, Response

from deployments.sandbox.harbor.answers import Refusal, answer, created, paged, selected
from deployments.sandbox.harbor.asks import Ask, Harbor, Routes
from deployments.sandbox.harbor.payloads import EVENT_TYPES, Event, message
from deployments.sandbox.harbor.store import Row, now, seconds

ATTEMPTS = 3
ATTEMPT_SECONDS = 3.0
FORMATS = ("Default", "CloudEvents")
POLICIES = "/projects/{project}/webhook/policies"


def announce(harbor: Harbor, kind: str, artifact: Row, tag: str, by: tuple[str, str], overview: Row, more: Row) -> None:
    """Every policy that is for this is delivering it; ``by`` is the operator and the request that caused it."""
    project = harbor.store.one("projects", id=artifact["project_id"])
    repository = harbor.store.one("repositories", id=artifact["repository_id"])
    if project is None:
        return
    event = Event(
        kind, int(time.time()), *by, artifact["digest"], tag, artifact["repository_name"],
        project["metadata"].get("public") == "true",
        seconds(repository["creation_time"]) if repository else None, overview, more,
    )  # fmt: skip
    for policy in harbor.store.rows("policies", project_id=project["id"]):
        if policy["enabled"] and kind in policy["event_types"]:
            for target in policy["targets"]:
                _queue(harbor, policy, event, target)


def _queue(harbor: Harbor, policy: Row, event: Event, target: Row) -> None:
    body, headers = message(event, harbor.host, policy, target)
    begun = now()
    execution = harbor.store.add(
        "executions", vendor_type="WEBHOOK", vendor_id=policy["id"], status="Running", trigger="EVENT",
        extra_attrs={"event_type": event.kind, "payload": body}, start_time=begun,
    )  # fmt: skip
    task = harbor.store.add(
        "tasks", execution_id=execution["id"], status="Pending", run_count=0, creation_time=begun, start_time=begun,
        log="", address=target["address"], body=body, headers=headers,
    )  # fmt: skip
    harbor.begin(_deliver(harbor, execution, task))


def resume(harbor: Harbor) -> None:
    """What was being delivered when Harbor stopped is being delivered."""
    for task in harbor.store.rows("tasks"):
        execution = harbor.store.one("executions", id=task["execution_id"])
        if execution and task["status"] in ("Pending", "Running"):
            harbor.begin(_deliver(harbor, execution, task))


async def _deliver(harbor: Harbor, execution: Row, task: Row) -> None:
    outcome = "no attempt was left"
    while task["run_count"] < ATTEMPTS:
        task.update(status="Running", run_count=task["run_count"] + 1, update_time=now())
        outcome = await _attempt(harbor.outside, task)
        task["log"] += f"{now()} [INFO] attempt {task['run_count']}: {outcome or 'delivered'}\n"
        if not outcome:
            break
        failures = task["run_count"]
        if failures < ATTEMPTS:
            task["status"] = "Pending"
            delay = failures**4 + 15 + random.randint(0, 29) * (failures + 1)  # noqa: S311 — nothing secret hangs on it
            await asyncio.sleep(delay * harbor.setting("retry_scale"))
    status = "Error" if outcome else "Success"
    for row in (task, execution):
        row.update(status=status, status_message=outcome, end_time=now())


async def _attempt(outside: httpx.AsyncClient, task: Row) -> str:
    """Why the receiver did not take it; nothing when it did."""
    try:
        async with asyncio.timeout(ATTEMPT_SECONDS):
            given = await outside.post(task["address"], content=task["body"], headers=task["headers"])
    except (httpx.HTTPError, TimeoutError) as error:
        return f"failed to send: {type(error).__name__} {error}"
    return "" if given.is_success else f"webhook job (target: {task['address']}) response code is {given.status_code}"


def _wanted(ask: Ask, project: Row) -> Row:
    """A policy as the body describes it. Raises Refusal for what Harbor does not take."""
    body = ask.document()
    targets: list[Row] = body.get("targets") or []
    kinds: list[str] = body.get("event_types") or []
    fault = _fault(str(body.get("name")), targets, kinds)
    if fault:
        raise Refusal("BAD_REQUEST", fault)
    shown = [{**target, "payload_format": target.get("payload_format") or "Default"} for target in targets]
    return {
        "name": body.get("name", ""),
        "description": body.get("description", ""),
        "project_id": project["id"],
        "targets": shown,
        "event_types": kinds,
        "enabled": bool(body.get("enabled")),
    }


def _fault(name: str, targets: list[Row], kinds: list[str]) -> str:
    if not kinds:
        return "empty event type"
    for kind in kinds:
        if kind not in EVENT_TYPES:
            return f"unsupported event type {kind}"
    if not targets:
        return f"empty notification target with policy {name}"
    for target in targets:
        if not urlsplit(str(target.get("address"))).hostname:
            return f"invalid URI: {target.get('address')}"
        if target.get("type") != "http":
            return f"unsupported target type {target.get('type')} with policy {name}"
        if (target.get("payload_format") or "Default") not in FORMATS:
            return f"unsupported payload format type: {target['payload_format']}"
    return ""


async def _list(ask: Ask) -> Response:
    project = ask.project(("notification-policy", "list"))
    rows = selected(ask.request, ask.store.rows("policies", project_id=project["id"]))
    return paged(ask.request, rows)


async def _create(ask: Ask) -> Response:
    project = ask.project(("notification-policy", "create"))
    wanted = _wanted(ask, project)
    if ask.store.one("policies", project_id=project["id"], name=wanted["name"]):
        raise Refusal("CONFLICT", f"notification policy named {wanted['name']} already exists")
    times = {"creation_time": now(), "update_time": now()}
    return created(ask.request, ask.store.add("policies", **wanted, creator=ask.caller.name, **times)["id"])


def _policy(ask: Ask, action: str) -> Row:
    project = ask.project(("notification-policy", action))
    found = ask.store.one("policies", id=ask.number("policy"), project_id=project["id"])
    if found is None:
        message = f"project id:{project['id']}, webhook policy id: {ask.path('policy')} not found"
        raise Refusal("NOT_FOUND", message)
    return found


async def _read(ask: Ask) -> Response:
    return answer(_policy(ask, "read"))


async def _update(ask: Ask) -> Response:
    policy = _policy(ask, "update")
    policy.update(_wanted(ask, {"id": policy["project_id"]}), update_time=now())
    return Response()


async def _delete(ask: Ask) -> Response:
    ask.store.remove("policies", id=_policy(ask, "delete")["id"])
    return Response()


async def _executions(ask: Ask) -> Response:
    rows = ask.store.rows("executions", vendor_id=_policy(ask, "read")["id"], vendor_type="WEBHOOK")
    return paged(ask.request, rows[::-1])


def _execution(ask: Ask) -> Row:
    found = ask.store.one("executions", id=ask.number("execution"), vendor_id=_policy(ask, "read")["id"])
    if found is None:
        raise Refusal("NOT_FOUND", f"execution {ask.path('execution')} not found in policy {ask.path('policy')}")
    return found


_HIDDEN = ("log", "address", "body", "headers")


async def _tasks(ask: Ask) -> Response:
    rows = ask.store.rows("tasks", execution_id=_execution(ask)["id"])
    return paged(ask.request, rows, lambda row: {key: row[key] for key in row if key not in _HIDDEN})


async def _log(ask: Ask) -> Response:
    task = ask.store.one("tasks", id=ask.number("task"), execution_id=_execution(ask)["id"])
    if task is None:
        raise Refusal("NOT_FOUND", f"task {ask.path('task')} not found in execution {ask.path('execution')}")
    return PlainTextResponse(task["log"])


ROUTES: Routes = [
    ("GET", POLICIES, _list),
    ("POST", POLICIES, _create),
    ("GET", POLICIES + "/{policy}", _read),
    ("PUT", POLICIES + "/{policy}", _update),
    ("DELETE", POLICIES + "/{policy}", _delete),
    ("GET", POLICIES + "/{policy}/executions", _executions),
    ("GET", POLICIES + "/{policy}/executions/{execution}/tasks", _tasks),
    ("GET", POLICIES + "/{policy}/executions/{execution}/tasks/{task}/log", _log),
]
