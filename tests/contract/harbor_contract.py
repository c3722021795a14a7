"""Harbor's own description of its API, and what a request or an answer has that is not in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from jsonschema import Draft4Validator, FormatChecker
from ruamel.yaml import YAML

DESCRIPTION = Path(__file__).parents[2].parent / "shared" / "data" / "harbor-swagger.yaml"
UNDECLARED = frozenset({400, 401, 403, 404, 405, 409, 412, 422, 429, 500})
"""Harbor refuses with these wherever it has reason to; its description lists them in some places only."""
ERRORS = {"$ref": "#/definitions/Errors"}

FORMATS = FormatChecker(())

Json = Any


@FORMATS.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@dataclass(frozen=True)
class Operation:
    """One entry of the description: its path as a pattern, and how often it has a variable part."""

    method: str
    pattern: re.Pattern[str]
    template: str
    entry: Mapping[str, Json]


class Contract:
    """The description, ready to be held against what goes over the wire."""

    def __init__(self, document: dict[str, Json]) -> None:
        self._base: str = document["basePath"]
        self._document = document
        self._definitions = {name: as_written(schema) for name, schema in document["definitions"].items()}
        self._operations = [
            Operation(method.upper(), _pattern(path), path, entry)
            for path, item in document["paths"].items()
            for method, entry in item.items()
            if method in ("get", "put", "post", "patch", "delete", "head")
        ]

    def faults(self, response: httpx.Response) -> list[str]:
        """What is wrong with an exchange: its request when it was taken, and its answer in any case."""
        request = response.request
        if not request.url.path.startswith(self._base):
            return []
        operation = self._operation(request)
        if operation is None:
            return [f"{request.method} {request.url.path} is not in Harbor's description"]
        where = f"{operation.method} {operation.template}"
        asked = list(self._request_faults(request, operation)) if response.is_success else []
        return [f"{where}: {fault}" for fault in (*asked, *self._answer_faults(response, operation))]

    def _operation(self, request: httpx.Request) -> Operation | None:
        path = request.url.raw_path.decode().partition("?")[0].removeprefix(self._base)
        fits = [one for one in self._operations if one.method == request.method and one.pattern.fullmatch(path)]
        return min(fits, key=lambda one: one.template.count("{"), default=None)

    def _request_faults(self, request: httpx.Request, operation: Operation) -> Iterator[str]:
        parameters = [self._resolved(one) for one in operation.entry.get("parameters", [])]
        query = dict(parse_qsl(request.url.query.decode(), keep_blank_values=True))
        known = {one["name"]: one for one in parameters if one["in"] == "query"}
        yield from (f"the query has {name}, which is not known" for name in query.keys() - known.keys())
        for name, one in known.items():
            if name not in query:
                if one.get("required"):
                    yield f"the query lacks {name}"
                continue
            yield from self._schema_faults(_typed(query[name], one["type"]), _plain(one), f"query {name}")
        for one in parameters:
            if one["in"] == "body" and (request.content or one.get("required")):
                yield from self._schema_faults(json.loads(request.content or b"null"), one["schema"], "body")

    def _answer_faults(self, response: httpx.Response, operation: Operation) -> Iterator[str]:
        declared = operation.entry["responses"].get(str(response.status_code))
        if declared is None and response.status_code not in UNDECLARED:
            yield f"answered {response.status_code}"
            return
        entry = self._resolved(declared or {"schema": ERRORS})
        for name, header in entry.get("headers", {}).items():
            if name in response.headers:
                value = _typed(response.headers[name], header["type"])
                yield from self._schema_faults(value, _plain(header), f"header {name}")
        if response.request.method == "HEAD":
            return
        if response.is_error:
            yield from self._schema_faults(response.json(), ERRORS, "error")
        elif "schema" in entry and entry["schema"].get("type") != "string":
            yield from self._schema_faults(response.json(), entry["schema"], "answer")

    def _resolved(self, entry: Mapping[str, Json]) -> Mapping[str, Json]:
        if "$ref" not in entry:
            return entry
        kind, name = entry["$ref"].split("/")[1:]
        return self._document[kind][name]

    def _schema_faults(self, value: Json, schema: Mapping[str, Json], where: str) -> Iterator[str]:
        whole = {**as_written(schema), "definitions": self._definitions}
        validator = Draft4Validator(whole, format_checker=FORMATS)
        for fault in validator.iter_errors(value):
            yield f"{where}{fault.json_path[1:]}: {fault.message[:300]}"


@cache
def contract() -> Contract:
    if not DESCRIPTION.is_file():
        pytest.fail(f"Harbor's description is missing: put api/v2.0/swagger.yaml of 2.15 at {DESCRIPTION}")
    return Contract(YAML(typ="safe").load(DESCRIPTION))


def as_written(schema: Json) -> Json:
    """A schema as Harbor means it: written in Swagger 2, and answered by a program in Go.

    A bare ``object`` is any value, an empty list or map may be null, and a field that is not named is not there.
    """
    if isinstance(schema, list):
        return [as_written(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    said = ("example", "description", "default", "properties")
    mapped = {key: as_written(item) for key, item in schema.items() if key not in said}
    if "properties" in schema:
        # Their names are Harbor's, and one of them may be "description".
        mapped["properties"] = {name: as_written(item) for name, item in schema["properties"].items()}
        mapped.setdefault("additionalProperties", False)
    elif schema.get("type") == "object" and "additionalProperties" not in schema:
        return {}
    if schema.get("type") in ("array", "object") or schema.get("x-nullable"):
        mapped["type"] = [schema["type"], "null"]
    return mapped


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[^}]*\})", path)
    return re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part) for part in parts))


def _typed(text: str, kind: str) -> Json:
    if kind == "integer":
        return int(text) if text.isdigit() else text
    return {"true": True, "false": False}.get(text, text) if kind == "boolean" else text


def _plain(parameter: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in parameter.items() if key in ("type", "enum", "maximum", "minimum")}
