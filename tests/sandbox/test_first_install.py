"""A first deploy that is killed, of a hub that could not have started anyway."""

from __future__ import annotations

from kubernetes import client

from tests.sandbox.conftest import RELEASE, Profile, Sandbox


def test_killed_in_the_first_install_and_run_again_with_what_was_wrong_mended(
    sandbox: Sandbox, profile: Profile
) -> None:
    profile.change(release={"images": {"hub": "10.51.0.2:5000/library/busybox:1"}})
    sandbox.kill_in(profile, "pending-install")
    profile.change(release={"images": {}})
    # As an operator does who knows that the run is dead; else the next one waits until its Lease has ended.
    client.CoordinationV1Api(sandbox.api()).delete_namespaced_lease(f"{RELEASE}-hubwright", profile.namespace)
    ended = sandbox.flows("deploy", str(profile), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    assert all(check["passed"] for check in ended.result["checks"])
    assert sandbox.history(profile)[-1]["status"] == "deployed"
