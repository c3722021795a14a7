"""The automations: what people are told of, and what repairs a hub by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, cast
from uuid import UUID

from prefect.events.schemas.automations import Automation, AutomationCore

from deployments.register.installation import Installation
from deployments.register.notices import PREFIX, free_never_started, notifications, repair_after_crash
from deployments.register.server import PAGE, SYSTEM, Server
from tasks.core.change import Action, Change, Plan, compare
from tasks.core.errors import Permanent

NOTIFY = "notify"
"""What a block can do that sends notifications, as Prefect names it."""


def ensure_automations(
    server: Server, installation: Installation, hubs: Iterable[str], ids: Mapping[str, UUID]
) -> None:
    """Crashes are repaired, and people told of trouble. Raises Permanent when there is no such notification block.

    An automation that somebody switched off stays so. Those of ours that nothing needs any more are deleted.
    """
    seen = _read(server)
    for wanted in (free_never_started(), *(repair_after_crash(hub, ids) for hub in hubs)):
        ensure_automation(server, wanted, seen.pop(wanted.name, []))
    for wanted in _notifications(server, installation):
        ensure_automation(server, wanted, seen.pop(wanted.name, []))
    for left in seen.values():
        _delete(server, left)


def ensure_automation(server: Server, wanted: AutomationCore, seen: list[Automation]) -> None:
    """The automation is there, once, as wanted but for whether it is switched on."""
    what = f"automation {wanted.name}"
    if not seen:
        server.write(Plan((Change.of(Action.CREATE, what),)), server.client.create_automation, wanted)
        return
    first, *others = seen
    wanted = wanted.model_copy(update={"enabled": first.enabled})
    changes = compare(what, canonical(first), canonical(wanted))
    if not changes.empty:
        whole = AutomationCore.model_validate(canonical(wanted))  # the client leaves out what was not set
        server.write(changes, server.client.update_automation, first.id, whole)
    _delete(server, others)


def canonical(automation: AutomationCore) -> dict[str, Any]:
    """Its fields in an order that does not depend on the process: names of events are sets in Prefect's models."""
    fields = set(AutomationCore.model_fields) - {"owner_resource"}
    return {name: _sorted(value) for name, value in automation.model_dump(mode="json", include=fields).items()}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(inner) for key, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        inner = [_sorted(one) for one in cast("list[Any]", value)]
        return sorted(inner) if all(isinstance(one, str) for one in inner) else inner
    return value


def _notifications(server: Server, installation: Installation) -> tuple[AutomationCore, ...]:
    if not installation.notify:
        return ()
    slug, _, name = installation.notify.partition("/")
    asked = f"read notification block {installation.notify}"
    remedy = "make the block in Prefect's UI (Blocks) and run again, or set notify to another, or to nothing"
    block = server.find(asked, server.client.read_block_document_by_name, name, slug, include_secrets=False)
    if block is None:
        raise Permanent(SYSTEM, asked, "there is no such block", remedy)
    if NOTIFY not in (block.block_schema.capabilities if block.block_schema else ()):
        raise Permanent(SYSTEM, asked, "it sends no notifications", remedy)
    return notifications(block.id, installation.url)


def _read(server: Server) -> dict[str, list[Automation]]:
    """Ours by name: Prefect takes two of one name."""
    found = server.list_all(
        "list automations", lambda offset: server.client.read_automations(limit=PAGE, offset=offset)
    )
    ours: dict[str, list[Automation]] = defaultdict(list)
    for one in found:
        if one.name.startswith(PREFIX):
            ours[one.name].append(one)
    return ours


def _delete(server: Server, automations: Iterable[Automation]) -> None:
    for one in automations:
        change = Change.of(Action.DELETE, f"automation {one.name}")
        server.write(Plan((change,)), server.client.delete_automation, one.id)
