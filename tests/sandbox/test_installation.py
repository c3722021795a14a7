"""What is installed in the cluster: flows in its work pools, with no more rights than they need, and webhooks."""

from __future__ import annotations

import json
import ssl
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
from kubernetes import client

from config.profiles import load_profile
from deployments.sandbox.addresses import HARBOR, NODE_IP, RECEIVER_HOST
from deployments.sandbox.contents import HUBS
from deployments.sandbox.installation import RELEASE as NAMESPACE
from tasks.core.objects import CONFIG_MAP, POD, SECRET
from tasks.core.wait import wait_until
from tests.sandbox.conftest import Sandbox

RUN_SECONDS = 600
FLOWS = "system:serviceaccount:hubwright:flows"
PAYLOADS = Path(__file__).parents[3] / "shared" / "data" / "harbor-webhooks"
FOR_EVERY_HUB = {"deploy", "rollback", "converge", "teardown"}
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
WITH_HARBOR = FOR_EVERY_HUB | {"rebuild-image", "renew-robots", "follow-tags"}


@pytest.fixture(scope="module")
def prefect(sandbox: Sandbox) -> Generator[httpx.Client, None, None]:
    """Prefect's API, as somebody who may use it."""
    user, _, password = sandbox.environment["PREFECT_API_AUTH_STRING"].partition(":")
    url = sandbox.environment["PREFECT_API_URL"]
    with httpx.Client(base_url=url, auth=(user, password), timeout=30, trust_env=False) as api:
        yield api


@pytest.fixture(scope="module")
def receiver(sandbox: Sandbox) -> Generator[httpx.Client, None, None]:
    """The receiver through the Ingress, by its name and the sandbox's CA."""
    verify = ssl.create_default_context(cafile=sandbox.paths.ca)
    with httpx.Client(base_url=f"https://{NODE_IP}", verify=verify, timeout=30, trust_env=False) as api:
        api.headers["Host"] = RECEIVER_HOST
        yield api


def _ask(api: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    return api.post(path, json=body).raise_for_status().json()


def _deployments(prefect: httpx.Client, hub: str) -> dict[str, dict[str, Any]]:
    tags = {"tags": {"all_": ["hubwright", f"hub:{hub}"]}}
    found = _ask(prefect, "/deployments/filter", {"deployments": tags})
    return {row["entrypoint"].rpartition(".")[2].replace("_", "-"): row for row in found}


def _runs(prefect: httpx.Client, deployment: str) -> list[dict[str, Any]]:
    by = {"deployments": {"id": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_DESC"}
    return _ask(prefect, "/flow_runs/filter", by)


def _deliver(receiver: httpx.Client, sandbox: Sandbox, **changes: Any) -> httpx.Response:
    """A push as Harbor tells it, of the image that the demo's hub follows unless something else is said."""
    event = json.loads((PAYLOADS / "push-artifact-tagged-default.json").read_text())
    hub = load_profile("sandbox")
    [resource] = event["event_data"]["resources"]
    name = hub.image.reference.partition("/")[2].partition(":")[0]
    resource["tag"] = changes.get("tag", hub.image.tag)
    resource["resource_url"] = f"{HARBOR}/{name}:{resource['tag']}"
    namespace, _, repository = name.partition("/")
    event["event_data"]["repository"] |= {"name": repository, "namespace": namespace, "repo_full_name": name}
    token = changes.get("token", sandbox.paths.harbor_webhook.read_text().strip())
    return receiver.post("/harbor", json=event, headers={"Authorization": token})


def test_each_hub_has_the_deployments_that_it_can_use(prefect: httpx.Client) -> None:
    found = {hub: _deployments(prefect, hub) for hub in HUBS}
    assert {hub: set(names) for hub, names in found.items()} == {
        "sandbox": WITH_HARBOR,
        "sandbox-iav-v1": FOR_EVERY_HUB,
    }
    for hub, names in found.items():
        for row in names.values():
            assert row["parameters"]["profile"] == hub
            assert row["parameter_openapi_schema"]["properties"]["profile"]["title"]
            assert "@sha256:" in row["job_variables"]["image"]


def test_registering_again_writes_nothing(sandbox: Sandbox, prefect: httpx.Client, tmp_path: Path) -> None:
    """By the very file that the chart gave its Job; each deployment says when it was changed last."""
    kept = sandbox.kubernetes.list(CONFIG_MAP, NAMESPACE)
    [text] = [body["data"]["installation.yaml"] for body in kept if "installation.yaml" in body.get("data", {})]
    file = tmp_path / "installation.yaml"
    file.write_text(text)
    before = {row["id"]: row["updated"] for hub in HUBS for row in _deployments(prefect, hub).values()}
    ended = sandbox.python("deployments.register", "--installation", str(file))
    assert ended.code == 0, ended.stderr[-3000:]
    assert "nothing to change" in ended.stdout + ended.stderr
    assert before == {row["id"]: row["updated"] for hub in HUBS for row in _deployments(prefect, hub).values()}


def test_a_deploy_goes_through_the_pool_and_its_log_and_end_come_here(sandbox: Sandbox) -> None:
    ended = sandbox.python("flows", "deploy", "sandbox-iav-v1", "--remote", seconds=RUN_SECONDS)
    assert ended.code == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    assert "Completed" in ended.stdout + ended.stderr
    settled = sandbox.flows("deploy", "sandbox-iav-v1", "--plan-only", "--json")
    assert settled.result["plan"] == []


def test_what_was_changed_by_hand_is_drift(sandbox: Sandbox) -> None:
    """A look writes nothing and says so by its exit code; told to repair, the pool puts it right."""
    namespace = load_profile("sandbox-iav-v1").cluster.namespace
    hub = {"name": "hub", "env": [{"name": "PYTHONUNBUFFERED", "value": "2"}]}
    body = {"spec": {"template": {"spec": {"containers": [hub]}}}}
    client.AppsV1Api(sandbox.api()).patch_namespaced_deployment("hub", namespace, body)
    start = sandbox.audit.now()
    looked = sandbox.python("flows", "converge", "sandbox-iav-v1", "--remote", seconds=RUN_SECONDS)
    assert looked.code == 2, looked.stdout[-3000:] + looked.stderr[-3000:]
    assert sandbox.audit.writes(start, namespace, ("hubwright", "Helm")) == []
    repaired = sandbox.python("flows", "converge", "sandbox-iav-v1", "--repair", "--remote", seconds=RUN_SECONDS)
    assert repaired.code == 0, repaired.stdout[-3000:] + repaired.stderr[-3000:]
    assert sandbox.python("flows", "converge", "sandbox-iav-v1").code == 0


def test_no_pod_or_job_tells_a_secret(sandbox: Sandbox) -> None:
    """Those of runs stay a while after their end: what the worker made is here to look at."""
    jobs = client.BatchV1Api(sandbox.api()).list_namespaced_job(NAMESPACE).items
    texts = [str(job.to_dict()) for job in jobs]
    texts += [json.dumps(pod) for pod in sandbox.kubernetes.list(POD, NAMESPACE)]
    assert any("prefect-job" in text for text in texts)
    secrets = [path.read_text().strip() for path in sandbox.paths.drawn]
    assert [secret[:4] for secret in secrets for text in texts if secret in text] == []


def test_pods_of_runs_have_no_privileges(sandbox: Sandbox) -> None:
    pods = [pod for pod in sandbox.kubernetes.list(POD, NAMESPACE) if pod["spec"]["serviceAccountName"] == "flows"]
    assert pods
    for pod in pods:
        [flow] = [one for one in pod["spec"]["containers"] if one["name"] == "prefect-job"]
        assert flow["securityContext"]["readOnlyRootFilesystem"]
        assert flow["securityContext"]["capabilities"]["drop"] == ["ALL"]
        assert not any(one["securityContext"].get("privileged") for one in pod["spec"]["containers"])


@pytest.mark.parametrize(
    ("namespace", "resource", "verb", "allowed"),
    [
        ("jupyterhub-test", "secrets", "create", True),
        ("jupyterhub", "secrets", "get", True),
        (NAMESPACE, "secrets", "get", False),
        ("kube-system", "secrets", "list", False),
        ("default", "pods", "create", False),
        (None, "nodes", "list", True),
        (None, "nodes", "patch", False),
    ],
)
def test_flows_may_do_their_work_in_hubs_namespaces_and_no_more(
    sandbox: Sandbox, namespace: str | None, resource: str, verb: str, allowed: bool
) -> None:
    attributes = client.V1ResourceAttributes(namespace=namespace, resource=resource, verb=verb)
    spec = client.V1SubjectAccessReviewSpec(user=FLOWS, resource_attributes=attributes)
    review = client.V1SubjectAccessReview(spec=spec)
    answer = client.AuthorizationV1Api(sandbox.api()).create_subject_access_review(review)
    assert bool(answer.status.allowed) is allowed


def test_the_receiver_lets_nobody_in_who_does_not_know_the_token(receiver: httpx.Client, sandbox: Sandbox) -> None:
    assert _deliver(receiver, sandbox, token="guessed").status_code == 401
    assert receiver.post("/harbor", json={}).status_code == 401


def test_a_tag_that_nobody_follows_is_answered_and_ignored(
    receiver: httpx.Client, sandbox: Sandbox, prefect: httpx.Client
) -> None:
    deploy = _deployments(prefect, "sandbox")["deploy"]["id"]
    before = len(_runs(prefect, deploy))
    assert _deliver(receiver, sandbox, tag="nobody-follows-this").status_code == 202
    assert len(_runs(prefect, deploy)) == before


@pytest.mark.usefixtures("demo_image")
def test_a_push_makes_one_run_of_exactly_its_digest_however_often_it_is_told(
    receiver: httpx.Client, sandbox: Sandbox, prefect: httpx.Client, demo_image: dict[str, Any]
) -> None:
    assert sandbox.kubernetes.read(SECRET, "hubwright-pull", load_profile("sandbox").cluster.namespace)
    deploy = _deployments(prefect, "sandbox")["deploy"]["id"]

    def made() -> list[dict[str, Any]]:
        """Newest first; Harbor itself may have told of this push before."""
        return [run for run in _runs(prefect, deploy) if "harbor" in run["tags"]]

    assert _deliver(receiver, sandbox).status_code == 202
    run, *_others = runs = made()
    assert run["parameters"]["image"] == demo_image["image"].partition("@")[2]
    assert [_deliver(receiver, sandbox).status_code for _ in range(5)] == [202] * 5
    assert [one["id"] for one in made()] == [one["id"] for one in runs]

    def state() -> dict[str, Any]:
        return prefect.get(f"/flow_runs/{run['id']}").raise_for_status().json()["state"]

    def missing() -> str:
        return "" if state()["type"] in ENDED else state()["name"]

    wait_until("run", "end", missing, seconds=RUN_SECONDS, remedy="look at it in Prefect's UI")
    assert state()["type"] == "COMPLETED", state()["message"]


def test_a_rebuild_in_the_pool_of_images_finds_nothing_to_build(sandbox: Sandbox, demo_image: dict[str, Any]) -> None:
    """It has Podman beside it, and knows the image by Harbor."""
    assert demo_image["image"]
    ended = sandbox.python("flows", "rebuild-image", "sandbox", "--remote", seconds=RUN_SECONDS)
    assert ended.code == 0, ended.stdout[-3000:] + ended.stderr[-3000:]


def test_the_receiver_tells_how_it_is(sandbox: Sandbox) -> None:
    """Not through the Ingress: probes and Prometheus ask its pods."""
    pods = sandbox.kubernetes.list(POD, NAMESPACE, "app.kubernetes.io/component=receiver")
    assert len(pods) == 2
    code = (
        "import urllib.request as r; "
        "print([r.urlopen('http://localhost:8080' + p, timeout=5).status for p in ('/healthz', '/readyz')], "
        "'hubwright_' in r.urlopen('http://localhost:8080/metrics', timeout=5).read().decode())"
    )
    for pod in pods:
        said = sandbox.kubernetes.run(pod["metadata"]["name"], NAMESPACE, "receiver", ["python", "-c", code], 30)
        assert said.strip() == "[200, 200] True"
