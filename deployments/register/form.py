"""The form in which Prefect's UI asks for a deployment's parameters."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from prefect import Flow
from prefect.utilities.callables import parameter_schema


def form_of(entrypoint: str, fixed: dict[str, Any]) -> dict[str, Any]:
    """The schema of a flow's parameters, in which those that the deployment fixes have one choice, made already."""
    schema = _schema(entrypoint)
    properties = {
        name: {**described, "enum": [fixed[name]], "default": fixed[name]} if name in fixed else described
        for name, described in schema["properties"].items()
    }
    required = [name for name in schema.get("required", ()) if name not in fixed]
    return {**schema, "properties": properties, "required": required}


@cache
def _schema(entrypoint: str) -> dict[str, Any]:
    return parameter_schema(load_flow(entrypoint)).model_dump_for_openapi()


def load_flow(entrypoint: str) -> Flow[..., Any]:
    """The flow of an entrypoint in module form."""
    module, _, name = entrypoint.rpartition(".")
    found = getattr(import_module(module), name)
    assert isinstance(found, Flow), f"{entrypoint} is no flow"
    return found
