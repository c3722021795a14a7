"""`python -m config.schema` writes config/profile.schema.json: what a profile may hold, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from config.spec import Hub

FILE = Path(__file__).parent / "profile.schema.json"


def profile_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a profile's file.

    A file that extends another may leave anything out and may put null to remove it, so nothing is required
    there; what the whole must have is checked when it is read.
    """
    schema = Hub.model_json_schema()
    required = schema.pop("required")
    schema["properties"]["extends"] = {
        "type": "string",
        "description": "Name or path of a profile that this one changes.",
        "examples": ["iav-v1"],
    }
    for definition in schema["$defs"].values():
        definition.pop("required", None)
        for name, value in definition.get("properties", {}).items():
            definition["properties"][name] = {"anyOf": [value, {"type": "null"}]}
            _allow_null_entries(value)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Profile of a hub",
        **{key: value for key, value in schema.items() if key != "title"},
        "anyOf": [{"required": ["extends"]}, {"required": required}],
    }


def _allow_null_entries(mapping: dict[str, Any]) -> None:
    """Where names are people's own, as those of roles are, a null takes an entry away."""
    entries = mapping.get("patternProperties", {})
    for pattern, value in entries.items():
        entries[pattern] = {"anyOf": [value, {"type": "null"}]}


if __name__ == "__main__":
    FILE.write_text(json.dumps(profile_schema(), indent=2) + "\n", encoding="utf-8")
