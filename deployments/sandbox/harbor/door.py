"""What only tests use, and only with the administrator's password: settings, faults, and things others would do."""

from __future__ import annotations

import re
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deployments.sandbox.harbor.answers import Refusal, answer, error_answer
from deployments.sandbox.harbor.asks import SETTINGS, Ask, Harbor, Routes
from deployments.sandbox.harbor.inventory import find, forget, set_tag
from deployments.sandbox.harbor.store import Row

REMEMBERED = 2000
GATEWAY = (502, 503, 504)
"""What the proxy before Harbor answers, and not as Harbor words it."""


def fault_for(harbor: Harbor, request: Request) -> Row | None:
    """The fault that a test wants this request to meet; it has one time less to go."""
    for fault in harbor.faults:
        if fault["method"] in ("", request.method) and re.search(fault["path"], request.url.path):
            fault["times"] -= 1
            if fault["times"] <= 0:
                harbor.faults.remove(fault)
            return fault
    return None


def fault_answer(fault: Row) -> Response:
    """What such a request is told."""
    status, headers = fault["status"], fault["headers"]
    if status in GATEWAY:
        return Response(f"<html><body><h1>{status}</h1>nginx</body></html>\n", status, headers, "text/html")
    return error_answer(status, fault["code"], fault["message"], headers)


def remember(harbor: Harbor, request: Request, arrived: float, status: int) -> None:
    """Tests can see what was asked of Harbor, but not what they asked themselves."""
    if request.url.path.startswith("/test/"):
        return
    about = {"method": request.method, "path": request.url.path, "query": request.url.query}
    caller = request.scope.get("caller", "")
    harbor.seen.append({"time": arrived, **about, "caller": caller, "status": status})
    del harbor.seen[:-REMEMBERED]


async def _requests(ask: Ask) -> Response:
    since = float(ask.request.query_params.get("since", "0"))
    return JSONResponse([row for row in ask.harbor.seen if row["time"] >= since])


async def _settings(ask: Ask) -> Response:
    body = ask.document()
    if unknown := set(body) - set(SETTINGS):
        raise Refusal("BAD_REQUEST", f"no such settings: {sorted(unknown)}")
    row = ask.store.one("settings") or ask.store.add("settings")
    row.update(body)
    return answer({name: ask.harbor.setting(name) for name in SETTINGS})


async def _reset(ask: Ask) -> Response:
    """Every setting is as at first, and no fault waits."""
    ask.store.remove("settings")
    ask.harbor.faults.clear()
    return Response()


async def _add_fault(ask: Ask) -> Response:
    """``path`` is a regular expression; ``cut`` breaks the answer off, ``delay`` seconds pass before."""
    default: Row = {
        "path": "", "method": "", "times": 1, "status": 503, "code": "UNKNOWN", "message": "", "headers": {},
        "delay": 0.0, "cut": False,
    }  # fmt: skip
    body = ask.document()
    if unknown := set(body) - set(default):
        raise Refusal("BAD_REQUEST", f"a fault has no {sorted(unknown)}")
    ask.harbor.faults.append(default | body)
    return Response(status_code=201)


async def _expire_robot(ask: Ask) -> Response:
    row = ask.store.one("robots", id=ask.number("robot"))
    if row is None:
        raise Refusal("NOT_FOUND", "no such robot")
    row["expires_at"] = int(time.time()) - 1
    return Response()


async def _move_tag(ask: Ask) -> Response:
    """As if somebody else had pushed something else under the tag."""
    body = ask.document()
    artifact = find(ask.store, body["repository"], body["digest"])
    if artifact is None:
        raise Refusal("NOT_FOUND", "no such artifact")
    set_tag(ask.store, artifact, body["tag"])
    return Response()


async def _forget(ask: Ask) -> Response:
    """As if an artifact had never been pushed, whatever protects it."""
    body = ask.document()
    artifact = find(ask.store, body["repository"], body["reference"])
    if artifact:
        forget(ask.store, artifact["id"], artifact["project_id"])
    return Response()


ROUTES: Routes = [
    ("GET", "/test/requests", _requests),
    ("PUT", "/test/settings", _settings),
    ("POST", "/test/reset", _reset),
    ("POST", "/test/faults", _add_fault),
    ("POST", "/test/robots/{robot}/expire", _expire_robot),
    ("POST", "/test/tags", _move_tag),
    ("POST", "/test/forget", _forget),
]
