"""What a teardown takes from Harbor: the hub's robots, their logins and its webhook; nothing that others may need."""

from __future__ import annotations

from config.spec import Hub
from tasks.core.objects import SECRET
from tasks.registry.removal import plan_registry_removal, remove_from_registry
from tasks.registry.state import Kind, place_of
from tests.sandbox.conftest import Sandbox
from tests.sandbox.registry.conftest import FENCE, Admin, changed, set_up


def test_robots_logins_and_webhook_go_and_the_project_stays(sandbox: Sandbox, admin: Admin, ready: Hub) -> None:
    token = {"file": str(sandbox.paths.harbor_deployer)}
    hub = changed(ready, webhook={"url": "https://receiver.example.internal/harbor", "authorization": token})
    set_up(hub)
    digest = admin.push(hub, "v1", b"precious")
    project = f"/projects/{place_of(hub).project}"
    assert admin.api("GET", f"{project}/webhook/policies")
    planned = [change.what.rpartition("+")[2] for change in plan_registry_removal.fn(hub)]
    assert planned == [
        f"{hub.name}-build",
        f"{hub.name}-pull",
        f"Webhook hubwright-{hub.name}",
        *(f"Secret {kind.secret}" for kind in Kind),
    ]
    remove_from_registry.fn(hub, FENCE)
    assert admin.robots(hub) == {}
    assert not admin.api("GET", f"{project}/webhook/policies")
    assert not [kind for kind in Kind if sandbox.kubernetes.read(SECRET, kind.secret, hub.cluster.namespace)]
    [artifact] = admin.api("GET", f"{project}/repositories/tools%252Fnotebook/artifacts")
    assert artifact["digest"] == digest
    assert admin.api("GET", f"{project}/immutabletagrules")
    assert plan_registry_removal.fn(hub).empty
    remove_from_registry.fn(hub, FENCE)
