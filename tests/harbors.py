"""Hubs with a Harbor, and Harbors as tests see them: one that has everything, and what may be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from config.profiles import load_profile
from config.spec import Hub
from tasks.core.login import Login
from tasks.registry.plan import wanted_secret
from tasks.registry.policies import immutable_rule, retention
from tasks.registry.state import ACCESS, KeptLogin, Kind, SeenHarbor, SeenProject, SeenRobot, robot_name

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
REFERENCE = "registry.example.com/iav/tools/base-notebook:v1"


def hub_with(name: str = "lab", reference: str = REFERENCE, **harbor: Any) -> Hub:
    """A hub whose image is in a Harbor that is set up so."""
    whole = load_profile("iav-v1").model_dump()
    part = {"user": "hubwright", "password": {"env": "HARBOR_PASSWORD"}, **harbor}
    return Hub.model_validate(
        {**whole, "name": name, "image": {"reference": reference}, "registry": {"ca": None, "harbor": part}}
    )


def credential_of(hub: Hub, kind: Kind) -> Login:
    return Login(f"robot$iav+{robot_name(hub, kind)}", SecretStr(f"marker-{kind}"))


def robot_with(hub: Hub, kind: Kind, **changed: Any) -> SeenRobot:
    """A robot as it should be, ten days old, but for these fields."""
    created = NOW - timedelta(days=10)
    fields: dict[str, Any] = {
        "id": list(Kind).index(kind) + 1, "name": credential_of(hub, kind).user, "disabled": False, "created": created,
        "expires_at": int((created + timedelta(days=90)).timestamp()), "duration": 90, "access": ACCESS[kind],
    }  # fmt: skip
    return SeenRobot(**{**fields, **changed})


def kept_of(hub: Hub) -> dict[Kind, KeptLogin]:
    """The Secrets of both robots, as they should be."""
    return {
        kind: KeptLogin(wanted_secret(hub, kind, credential_of(hub, kind)).body, credential_of(hub, kind), "")
        for kind in Kind
    }


def harbor_with(hub: Hub, robots: Mapping[Kind, Mapping[str, Any]] | None = None, **changed: Any) -> SeenHarbor:
    """A Harbor that has everything for the hub, but for these fields; robots of kinds with theirs."""
    empty = SeenHarbor(False, True, project=SeenProject(1, 1, 7))
    rule = immutable_rule(hub, empty).wanted or {}
    fields: dict[str, Any] = {
        "project": empty.project,
        "scanner": True,
        "robots": tuple(robot_with(hub, kind, **(robots or {}).get(kind, {})) for kind in Kind),
        "retention": {**(retention(hub, empty).wanted or {}), "id": 7},
        "immutable_rules": ({**rule, "id": 1},),
        "kept": kept_of(hub),
    }
    return SeenHarbor(**{"read_only": False, "anybody_creates": True, **fields, **changed})
