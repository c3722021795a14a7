"""How Prefect's UI asks for the parameters of a flow."""

from __future__ import annotations

from typing import Any

from pydantic import Field


def asked(title: str, description: str, **more: Any) -> Any:
    """Title, description and whatever else of its JSON schema the UI shows of a parameter.

    All of it stands in the schema: Prefect (3.8) replaces a field's own title and description by the parameter's name.
    """
    return Field(json_schema_extra={"title": title, "description": description, **more})
