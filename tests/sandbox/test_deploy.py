"""The deploy flow on a real cluster, as an engineer uses it, in the order in which a hub lives."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from config.profiles import load_profile
from deployments.sandbox.installation import RELEASE as INSTALLATION
from deployments.sandbox.paths import CLONE
from tasks.core.names import KEYS_SECRET, PASSWORDS_SECRET
from tasks.core.objects import CONFIG_MAP, POD, ROLE, SECRET
from tests.sandbox.conftest import Profile, Sandbox

OURS = ("hubwright", "Helm")
"""User agents of what a deploy runs."""
RELEASE = "jupyterhub"
CHECKS = 8
DUMP_SECONDS = 300


def test_first_deploy_is_healthy_and_on_record(sandbox: Sandbox, profile: Profile) -> None:
    ended = sandbox.flows("deploy", str(profile), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    record = ended.result["record"]
    assert [check["passed"] for check in ended.result["checks"]] == [True] * CHECKS
    assert record["revision"] == 1
    assert record["image"].startswith("10.51.0.2:5000/iav/base-notebook@sha256:")
    kept = sandbox.kubernetes.read(CONFIG_MAP, f"{RELEASE}-release-1", profile.namespace)
    assert kept
    assert json.loads(kept["data"]["record.json"]) == record
    created = {change["what"] for change in ended.result["plan"] if change["action"] == "create"}
    assert {"Role jupyterhub-sa", "PersistentVolumeClaim jupyterhub-shared-home", "Release jupyterhub"} <= created


def test_second_deploy_writes_nothing(sandbox: Sandbox, profile: Profile) -> None:
    pods = _hub_pods(sandbox, profile)
    start = sandbox.audit.now()
    ended = sandbox.flows("deploy", str(profile), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    assert ended.result["plan"] == []
    assert [check["passed"] for check in ended.result["checks"]] == [True] * CHECKS
    assert sandbox.audit.requests(start, OURS) > 0  # so that the next line can fail
    assert sandbox.audit.writes(start, profile.namespace, OURS) == []
    assert [entry["revision"] for entry in sandbox.history(profile)] == [1]
    assert _hub_pods(sandbox, profile) == pods


def test_no_server_is_left_behind(sandbox: Sandbox, profile: Profile) -> None:
    assert sandbox.kubernetes.list(POD, profile.namespace, "component=singleuser-server") == ()


def test_plan_only_shows_one_edit_and_writes_nothing(sandbox: Sandbox, profile: Profile) -> None:
    assert sandbox.flows("deploy", str(profile), "--plan-only", "--json").code == 0
    profile.change(server={"idle_timeout": "2h"})
    start = sandbox.audit.now()
    ended = sandbox.flows("deploy", str(profile), "--plan-only", "--json")
    profile.change(server={"idle_timeout": "1h"})
    assert ended.code == 2
    edit = {"action": "update", "what": "Release jupyterhub value cull.timeout", "before": "3600", "after": "7200"}
    assert ended.result["plan"][:-1] == [edit]
    assert ended.result["plan"][-1]["what"] == "Pods of hub"
    assert sandbox.audit.writes(start, profile.namespace, OURS) == []


def test_bad_profile_is_refused_before_anything_is_asked(sandbox: Sandbox, profile: Profile, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(f"extends: {profile}\nrelease: {{timeout: soon}}\nserver: {{cpu: {{limit: 2 cores}}}}\n")
    start = sandbox.audit.now()
    ended = sandbox.flows("deploy", str(bad))
    assert ended.code == 3
    assert f"{bad}:2: release.timeout: found 'soon'" in ended.stderr
    assert f"{bad}:3: server.cpu.limit: found '2 cores'" in ended.stderr
    assert sandbox.audit.requests(start, OURS) == 0


def test_secrets_are_nowhere_but_in_their_place(sandbox: Sandbox, profile: Profile) -> None:
    """The marker that is the password, and the keys that were drawn: not in Prefect, logs, values or argv."""
    kept = sandbox.kubernetes.read(SECRET, KEYS_SECRET, profile.namespace)
    assert kept
    keys = {base64.b64decode(value).decode() for value in kept["data"].values()}
    secrets = {profile.password.read_text().strip(), *keys}
    assert len(secrets) == 6
    profile.change(server={"idle_timeout": "3h"})
    running = subprocess.Popen(
        sandbox.command("deploy", str(profile), "--json"), cwd=CLONE, env=sandbox.environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    arguments = ""
    while running.poll() is None:
        arguments += "".join(_read(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
        time.sleep(0.05)
    assert running.stdout
    places = {
        "argv": arguments,
        "output": running.stdout.read(),
        "values": json.dumps(sandbox.helm(profile.namespace, "get", "values", RELEASE)),
        "logs": "".join(_read(path) for path in sandbox.paths.logs.iterdir()),
        "Prefect": _prefect_database(sandbox),
        "records": json.dumps(sandbox.kubernetes.list(CONFIG_MAP, profile.namespace)),
    }
    assert running.returncode == 0, places["output"][-3000:]
    assert "helm\0upgrade" in arguments
    assert f"plan-{profile.namespace}" in places["Prefect"]
    assert [(place, secret[:4]) for place, text in places.items() for secret in secrets if secret in text] == []


def test_another_managers_field_is_an_error_that_names_it(sandbox: Sandbox, profile: Profile) -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": [],
        "metadata": {"name": "jupyterhub-sa", "namespace": profile.namespace},
    }  # fmt: skip
    _apply(sandbox, role, "somebody-else")
    ended = sandbox.flows("deploy", str(profile))
    assert ended.code == 1
    assert 'conflict with "somebody-else"' in ended.stderr
    assert "--field-manager=hubwright" in ended.stderr
    del role["rules"]
    _apply(sandbox, role, "somebody-else")  # lets go of the field
    wanted = sandbox.flows("deploy", str(profile), "--json")
    assert wanted.code == 0, wanted.stderr[-3000:]
    found = sandbox.kubernetes.read(ROLE, "jupyterhub-sa", profile.namespace)
    assert found
    assert len(found["rules"]) == 3


def test_a_claim_that_would_have_to_shrink_is_an_error(sandbox: Sandbox, profile: Profile) -> None:
    shared = load_profile(str(profile)).storage.shared
    assert shared
    profile.change(storage={"shared": {"size": "1Gi"}})
    start = sandbox.audit.now()
    ended = sandbox.flows("deploy", str(profile))
    profile.change(storage={"shared": {"size": shared.size}})
    assert ended.code == 1
    assert "change PersistentVolumeClaim jupyterhub-shared-home: it would have to shrink" in ended.stderr
    assert sandbox.audit.writes(start, profile.namespace, OURS) == []


def test_failed_deploy_leaves_the_last_healthy_release_serving(sandbox: Sandbox, profile: Profile) -> None:
    """The hub's image is one without a hub in it: Helm gives up, and the newest healthy revision comes back."""
    healthy = sandbox.history(profile)[-1]["revision"]
    profile.change(release={"images": {"hub": "10.51.0.2:5000/library/busybox:1"}, "timeout": "15s"})
    ended = sandbox.flows("deploy", str(profile))
    profile.change(release={"images": {}, "timeout": "60s"})
    assert ended.code == 1
    assert f"going back to revision {healthy}" in ended.stderr
    assert sandbox.history(profile)[-1]["description"] == f"Rollback to {healthy}"
    again = sandbox.flows("deploy", str(profile), "--json")
    assert again.code == 0, again.stderr[-3000:]
    assert again.result["plan"] == []


def test_killed_in_mid_upgrade_and_run_again_converges(sandbox: Sandbox, profile: Profile) -> None:
    """SIGKILL of the run and of its Helm leaves a pending release; the next run frees it and goes on."""
    profile.change(server={"idle_timeout": "4h"})
    sandbox.kill_in(profile, "pending-upgrade")
    ended = sandbox.flows("deploy", str(profile), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    assert sandbox.history(profile)[-1]["status"] == "deployed"
    assert sandbox.helm(profile.namespace, "get", "values", RELEASE)["cull"]["timeout"] == 4 * 3600


def test_a_secret_is_the_same_wherever_it_lives(sandbox: Sandbox, profile: Profile) -> None:
    """Read from each kind of place, the password is the one that the hub has: the plan stays empty."""
    password = profile.password.read_text().strip()
    _save_block(sandbox, profile.namespace, password)
    in_secret = {"namespace": profile.namespace, "name": PASSWORDS_SECRET, "key": "password"}
    places = {"kubernetes": in_secret, "prefect_block": profile.namespace, "env": "HUB_PASSWORD"}
    for place, value in places.items():
        profile.change(identity={"password": {"file": None, place: value}})
        ended = sandbox.flows("deploy", str(profile), "--plan-only", "--json", env={"HUB_PASSWORD": password})
        assert (place, ended.code, ended.stdout.strip()) == (place, 0, '{"plan": [], "record": null, "checks": []}')
    ended = sandbox.flows("deploy", str(profile), "--plan-only")
    assert ended.code == 1
    assert "secrets: read the environment variable HUB_PASSWORD: nothing is there" in ended.stderr
    profile.change(identity={"password": {"file": str(profile.password)}})


def test_shared_password_gives_admins_one_of_their_own(sandbox: Sandbox, profile: Profile) -> None:
    admin = profile.password.with_name("admin-password")
    admin.write_text(os.urandom(20).hex())
    profile.change(identity={"kind": "shared-password", "admin_password": {"file": str(admin)}})
    ended = sandbox.flows("deploy", str(profile), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    assert [check["passed"] for check in ended.result["checks"]] == [True] * CHECKS
    values = sandbox.helm(profile.namespace, "get", "values", RELEASE)
    assert values["hub"]["config"]["JupyterHub"]["authenticator_class"] == "shared-password"


def test_changed_password_restarts_the_hub_and_not_the_proxy(sandbox: Sandbox, profile: Profile) -> None:
    before = _hub_pods(sandbox, profile)
    profile.password.write_text("another-password\n")
    ended = sandbox.flows("deploy", str(profile), "--json")
    assert ended.code == 0, ended.stderr[-3000:]
    changed = {change["what"]: (change["before"], change["after"]) for change in ended.result["plan"]}
    assert changed["Secret hubwright-passwords data.password"] == ("(hidden)", "(hidden)")
    after = _hub_pods(sandbox, profile)
    assert after["hub"] != before["hub"]
    assert after["proxy"] == before["proxy"]


def _hub_pods(sandbox: Sandbox, profile: Profile) -> dict[str, str]:
    """The uid of each of the hub's own pods, by component."""
    pods = sandbox.kubernetes.list(POD, profile.namespace, "component in (hub, proxy)")
    return {pod["metadata"]["labels"]["component"]: pod["metadata"]["uid"] for pod in pods}


def _apply(sandbox: Sandbox, body: dict[str, Any], manager: str) -> None:
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{body['metadata']['namespace']}/roles/jupyterhub-sa"
    api = sandbox.api()
    headers = {"Content-Type": "application/apply-patch+yaml", "Accept": "application/json"}
    query = [("fieldManager", manager), ("force", "true")]
    answer = api.call_api(*api.param_serialize("PATCH", path, query_params=query, header_params=headers, body=body))
    assert answer.status == 200, answer.read()


def _save_block(sandbox: Sandbox, name: str, value: str) -> None:
    """A Secret block in the sandbox's Prefect; the value goes in by standard input."""
    code = f"import sys; from prefect.blocks.system import Secret; Secret(value=sys.stdin.read()).save({name!r})"
    words = [sys.executable, "-c", code]
    subprocess.run(words, input=value, env=sandbox.environment, text=True, capture_output=True, timeout=60, check=True)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # the process has ended
        return ""


def _prefect_database(sandbox: Sandbox) -> str:
    """Everything in Prefect's database: runs, states, parameters, logs, artifacts."""
    [pod] = sandbox.kubernetes.list(POD, INSTALLATION, "app.kubernetes.io/component=postgresql")
    # As text of one line: what a command writes comes here in pieces, and this is a lot.
    dump = "pg_dump --username=prefect prefect | gzip | base64 --wrap=0"
    name, container = pod["metadata"]["name"], pod["spec"]["containers"][0]["name"]
    packed = sandbox.kubernetes.run(name, INSTALLATION, container, ["sh", "-c", dump], DUMP_SECONDS)
    return gzip.decompress(base64.b64decode(packed)).decode()
