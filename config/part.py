"""What every part of a hub's spec has in common."""

from __future__ import annotations

from types import NoneType
from typing import Any, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator


class Part(BaseModel):
    """A part of a hub: cannot be changed, and knows no key but its own.

    A null takes away what a profile before set; where a field may be None, null is a choice like any other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _null_takes_away(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {
            key: _without_nulls(value) if cls._has_own_keys(key) else value
            for key, value in cast("dict[Any, Any]", given).items()
            if value is not None or cls._may_be_none(key)
        }

    @classmethod
    def _has_own_keys(cls, key: Any) -> bool:
        """Whether it is a mapping by names that people choose, as roles are."""
        field = cls.model_fields.get(key) if isinstance(key, str) else None
        return field is not None and get_origin(field.annotation) is dict

    @classmethod
    def _may_be_none(cls, key: Any) -> bool:
        field = cls.model_fields.get(key) if isinstance(key, str) else None
        return field is not None and NoneType in get_args(field.annotation)


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: inner for key, inner in cast("dict[Any, Any]", value).items() if inner is not None}
