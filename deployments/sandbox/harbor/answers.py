"""How Harbor answers: errors by their code, lists page by page, documents without their empty fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deployments.sandbox.harbor.store import Row

STATUS = {
    "BAD_REQUEST": 400, "UNSUPPORTED": 400, "MANIFEST_INVALID": 400, "UNAUTHORIZED": 401, "FORBIDDEN": 403,
    "DENIED": 403, "NOT_FOUND": 404, "METHOD_NOT_ALLOWED": 405, "CONFLICT": 409, "PRECONDITION": 412,
    "VIOLATE_FOREIGN_KEY_CONSTRAINT": 412, "UNPROCESSABLE_ENTITY": 422, "TOO_MANY_REQUEST": 429,
}  # fmt: skip
MAXIMUM_PAGE = 100
KEPT = frozenset({
    "repo_count", "editable", "disable", "immutable", "artifact_count", "pull_count", "enabled", "hard", "used",
    "total", "fixable", "summary", "status_code", "retained", "artifact_id", "size", "icon", "digest", "type",
    "tags", "labels", "references", "accessories", "rules",
})  # fmt: skip
"""Fields that are written also when they are empty: ``x-omitempty: false`` in the description, and lists."""


class Refusal(Exception):
    """Harbor does not do what it was asked."""

    def __init__(self, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers = {name.replace("_", "-"): text for name, text in headers.items()}


def refuse(refusal: Refusal) -> Response:
    """The answer to what was refused."""
    return error_answer(STATUS.get(refusal.code, 500), refusal.code, refusal.message, refusal.headers)


def error_answer(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error as Harbor writes it; one of its own says nothing more than that."""
    if status >= 500:
        code, message = "UNKNOWN", "internal server error"
    text = json.dumps({"errors": [{"code": code, "message": message}]}, separators=(",", ":")) + "\n"
    return Response(text, status, headers, media_type="application/json; charset=utf-8")


def lean(document: Any) -> Any:
    """The document as Go writes it: empty fields are missing, but for those that are always there."""
    if isinstance(document, list):
        return [lean(item) for item in document]
    if not isinstance(document, dict):
        return document
    return {key: lean(item) for key, item in document.items() if key in KEPT or item not in (None, "", 0, False)}


def answer(document: Any, **headers: str) -> Response:
    """A document."""
    return JSONResponse(lean(document), headers={name.replace("_", "-"): text for name, text in headers.items()})


def created(request: Request, key: object) -> Response:
    """Something new, found under the path that it was asked of."""
    return Response(status_code=201, headers={"Location": f"{request.url.path.rstrip('/')}/{key}"})


def selected(request: Request, rows: Sequence[Row]) -> Sequence[Row]:
    """The rows that the request's ``q`` selects."""
    for key, wanted in wanted_values(request.query_params.get("q", "")).items():
        rows = [row for row in rows if _matches(row.get(key), wanted)]
    return rows


def paged(request: Request, rows: Sequence[Row], shown: Callable[[Row], Any] = lambda row: row) -> Response:
    """One page of the rows, as the request's ``page``, ``page_size`` and ``sort`` say."""
    sort = request.query_params.get("sort", "")
    if sort:
        key = sort.split(",")[0]
        rows = sorted(rows, key=lambda row: str(row.get(key.lstrip("-"))), reverse=key.startswith("-"))
    page, size = _number(request, "page", 1), _number(request, "page_size", 10)
    if size > MAXIMUM_PAGE:
        message = f"page_size in query should be less than or equal to {MAXIMUM_PAGE}"
        raise Refusal("UNPROCESSABLE_ENTITY", message)
    links = _links(request, page, size, len(rows))
    headers = {"X_Total_Count": str(len(rows)), **({"Link": links} if links else {})}
    return answer([shown(row) for row in rows[(page - 1) * size : page * size]], **headers)


def wanted_values(query: str) -> dict[str, str]:
    """The clauses of a ``q``. Raises Refusal for one that is none."""
    clauses = [clause.partition("=") for clause in query.split(",") if query]
    if any(not key or not wanted for key, _equals, wanted in clauses):
        raise Refusal("BAD_REQUEST", f"the query string {query} contains invalid clause")
    return {key: wanted for key, _equals, wanted in clauses}


def _matches(value: Any, wanted: str) -> bool:
    return wanted[1:] in str(value) if wanted.startswith("~") else wanted.lower() == str(value).lower()


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdigit() or int(text) < 1:
        raise Refusal("UNPROCESSABLE_ENTITY", f"{name} in query must be of type int64: {text!r}")
    return int(text)


def _links(request: Request, page: int, size: int, total: int) -> str:
    """As Harbor writes them: the query is not escaped."""
    links: list[str] = []
    for other, relation, there in ((page - 1, "prev", page > 1), (page + 1, "next", page * size < total)):
        if there:
            query = {**dict(parse_qsl(request.url.query)), "page": str(other), "page_size": str(size)}
            links.append(f'<{request.url.path}?{unquote_plus(urlencode(sorted(query.items())))}>; rel="{relation}"')
    return " , ".join(links)
