"""The phases' pure parts, and their clients at the seam of what they talk to."""

from __future__ import annotations

import base64
import json
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from config.images import PinnedImage, PinnedImages
from config.profiles import load_profile, profile_names
from config.spec import EVERYBODY, Chart, Hub
from flows import __main__ as command
from flows.deploy import DeployResult
from flows.rebuild_image import RebuildResult
from tasks.cluster.plan import HubSecrets, plan_claim, wanted_objects
from tasks.core.address import Address
from tasks.core.change import Action, Change, Plan
from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.objects import CLAIM, SECRET, WantedObject
from tasks.core.pods import pod_phrase
from tasks.core.process import Output
from tasks.core.secrets import mark_of
from tasks.registry.distribution import Registry
from tasks.release import client as helm_module
from tasks.release.client import Helm
from tasks.release.plan import WantedRelease, plan_release
from tasks.release.state import ChartArchive, ReleaseStatus, Revision, SeenRelease, last_good, status_of
from tasks.release.values import WantedValues, values_for, values_hash
from tasks.validation.client import UserSession
from tasks.validation.entry import Entry
from tasks.validation.state import not_available, pod_differences

DIGEST = "sha256:" + "a" * 64
IMAGE = PinnedImage("r.io", "team/notebook", DIGEST)
IMAGES = PinnedImages(IMAGE, PinnedImage("r.io", "hub", DIGEST), None)
SECRETS = HubSecrets({"hubwright-passwords": {"password": SecretStr("the-password")}}, {"key": SecretStr("the-key")})


# The objects of the cluster phase.


def test_objects_are_made_in_the_order_in_which_they_need_each_other() -> None:
    objects = wanted_objects(load_profile("iav-v1"), SECRETS)
    assert [wanted.title for wanted in objects] == [
        "ServiceAccount jupyterhub-sa",
        "Role jupyterhub-sa",
        "RoleBinding jupyterhub-sa",
        "Secret hubwright-passwords",
        "Secret hubwright-keys",
        "Secret hub",
        "PersistentVolumeClaim jupyterhub-shared-home",
    ]
    role = next(wanted for wanted in objects if wanted.title == "Role jupyterhub-sa")
    resources = {resource for rule in role.fields["rules"] for resource in rule["resources"]}
    assert {"pods", "services", "persistentvolumeclaims", "configmaps", "secrets", "ingresses"} <= resources


def test_the_charts_secret_is_made_once_with_our_keys_and_as_helms_own() -> None:
    wanted = next(one for one in wanted_objects(load_profile("iav-v1"), SECRETS) if one.title == "Secret hub")
    assert wanted.once
    assert wanted.kind == SECRET
    assert wanted.fields["data"] == {"key": base64.b64encode(b"the-key").decode()}
    assert wanted.fields["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "Helm"}
    assert wanted.fields["metadata"]["annotations"]["meta.helm.sh/release-name"] == "jupyterhub"
    assert "the-" not in repr(wanted)


def _claim(size: str, storage_class: str = "standard") -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": size}}}
    return {"spec": {**spec, "storageClassName": storage_class}}


CLAIM_WANTED = WantedObject(CLAIM, "shared", "n", _claim("50Gi"))


@pytest.mark.parametrize(
    ("seen", "growable", "changes"),
    [
        (None, False, ["create PersistentVolumeClaim shared"]),
        (_claim("50Gi"), False, []),
        (_claim("51200Mi"), False, []),
        (_claim("10Gi"), True, ["update PersistentVolumeClaim shared size"]),
    ],
)
def test_a_claim_is_made_or_grows(seen: Any, growable: bool, changes: list[str]) -> None:
    assert [f"{c.action} {c.what}" for c in plan_claim(CLAIM_WANTED, seen, lambda: growable)] == changes


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (_claim("60Gi"), "have to shrink"),
        (_claim("10Gi"), "have to grow, which StorageClass standard does not allow"),
        (_claim("50Gi", "other"), "storageClassName is 'other' and should be 'standard'"),
    ],
)
def test_a_claim_is_never_made_anew(seen: Any, said: str) -> None:
    with pytest.raises(Permanent, match=said):
        plan_claim(CLAIM_WANTED, seen, lambda: False)


# The values of a release.


@pytest.mark.parametrize("name", [name for name in profile_names() if not load_profile(name).roles])
def test_values_hold_no_secret_and_every_image_by_digest(name: str) -> None:
    values = values_for(WantedValues(load_profile(name), IMAGES, "mark"))
    assert values["singleuser"]["image"] == {"name": "r.io/team/notebook@sha256", "tag": "a" * 64}
    assert values["hub"]["image"]["tag"] == "a" * 64
    env = values["hub"]["extraEnv"]["HUBWRIGHT_PASSWORD"]
    assert env == {"valueFrom": {"secretKeyRef": {"name": "hubwright-passwords", "key": "password"}}}
    config = values["hub"]["extraConfig"]["hubwright-passwords"]
    assert 'c.DummyAuthenticator.password = os.environ["HUBWRIGHT_PASSWORD"]' in config


def test_values_say_amounts_as_the_spawner_reads_them() -> None:
    user = values_for(WantedValues(load_profile("iav-v1"), IMAGES, "m"))["singleuser"]
    assert user["memory"] == {"guarantee": 256 * 2**20, "limit": 2**30}
    assert user["cpu"] == {"guarantee": 0.1, "limit": 1.0}
    assert user["storage"]["extraVolumeMounts"] == [{"name": "shared", "mountPath": "/shared"}]


def test_the_hash_of_values_does_not_depend_on_their_order() -> None:
    assert values_hash({"a": 1, "b": 2}) == values_hash({"b": 2, "a": 1}) != values_hash({"a": 1})


def test_a_mark_tells_passwords_apart_and_not_what_they_are() -> None:
    marks = {mark_of([SecretStr(text)], salt) for text in ("a", "b") for salt in ("x", "y")}
    assert len(marks) == 4
    assert mark_of([SecretStr("a")], "x") in marks


# The state of a release, and its plan.

WANTED = WantedRelease("hub", ChartArchive(Path("hub.tgz"), "jupyterhub-4.4.0", DIGEST), {"a": 1})


def _seen(status: ReleaseStatus = ReleaseStatus.DEPLOYED, **changed: Any) -> SeenRelease:
    fields = {"revision": 1, "chart": WANTED.chart.title, "chart_digest": DIGEST, "values": {"a": 1}}
    return SeenRelease(status, "revision 1", **{**fields, **changed})


@pytest.mark.parametrize(
    ("seen", "changes"),
    [
        (SeenRelease(ReleaseStatus.ABSENT, "none"), ["create Release hub"]),
        (_seen(), []),
        (_seen(chart_digest=None), []),
        (_seen(values={"a": 2}), ["update Release hub value a"]),
        (_seen(chart="jupyterhub-4.3.0"), ["update Release hub chart"]),
        (_seen(chart_digest="sha256:b"), ["update Release hub chart digest"]),
        (_seen(ReleaseStatus.FAILED), ["update Release hub status"]),
        (_seen(drift=Plan((Change.of(Action.UPDATE, "Service hub"),))), ["update Service hub"]),
        (_seen(ReleaseStatus.PENDING, values={}), ["update Release hub status", "create Release hub value a"]),
    ],
)
def test_a_release_is_planned_by_its_status(seen: SeenRelease, changes: list[str]) -> None:
    assert [f"{c.action} {c.what}" for c in plan_release(WANTED, seen)] == changes


def _history(*states: str) -> list[Revision]:
    return [Revision(number, state, "c-1.0.0", "") for number, state in enumerate(states, 1)]


@pytest.mark.parametrize(
    ("states", "status", "good"),
    [
        ([], ReleaseStatus.ABSENT, None),
        (["deployed"], ReleaseStatus.DEPLOYED, 1),
        (["pending-upgrade", "deployed"], ReleaseStatus.DEPLOYED, 2),
        (["superseded", "failed"], ReleaseStatus.FAILED, 1),
        (["deployed", "pending-rollback"], ReleaseStatus.PENDING, 1),
        (["pending-install"], ReleaseStatus.PENDING, None),
    ],
)
def test_only_the_newest_revision_decides(states: list[str], status: ReleaseStatus, good: int | None) -> None:
    history = _history(*states)
    assert (status_of(history)[0], last_good(history)) == (status, good)


@pytest.mark.parametrize(
    ("pod", "phrase"),
    [
        ({"status": {"phase": "Pending"}}, "hub-1: Pending, not ready"),
        ({"status": {"containerStatuses": [{"ready": True, "state": {"running": {}}}]}}, "hub-1: ready"),
        (
            {"status": {"containerStatuses": [{"ready": False, "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}},
            "hub-1: ImagePullBackOff",
        ),
    ],
)
def test_a_pod_in_a_few_words(pod: dict[str, Any], phrase: str) -> None:
    assert pod_phrase({"metadata": {"name": "hub-1"}, **pod}) == phrase


# Helm, at the seam of its command.


class _Helm:
    """What Helm was called with, and what it says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: str | HubError) -> None:
        self.calls: list[tuple[list[str], dict[str, Any]]] = []
        self.answers = list(answers)
        monkeypatch.setattr(helm_module, "run", self)

    def __call__(self, argv: list[str], **options: Any) -> Output:
        self.calls.append((argv, options))
        answer = self.answers.pop(0)
        if isinstance(answer, HubError):
            raise answer
        return Output(answer, "")


@pytest.mark.parametrize(
    ("version", "flags"), [("v3.14.4", []), ("v4.3.1+g0", ["--server-side=true", "--force-conflicts"])]
)
def test_helm_3_and_4_differ_in_one_place(version: str, flags: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    fake = _Helm(monkeypatch, version, "")
    Helm("n").upgrade("hub", Path("c.tgz"), {"a": "the-value"}, 60, print, lambda: None)
    argv, options = fake.calls[-1]
    assert [word for word in argv if word in ("--server-side=true", "--force-conflicts")] == flags
    assert argv[argv.index("--values") + 1] == "-"
    assert json.loads(options["stdin"]) == {"a": "the-value"}
    assert "the-value" not in " ".join(argv)
    assert options["timeout"] > 60


def test_rollback_names_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = _Helm(monkeypatch, "v4.3.1", "")
    looked: list[str] = []
    Helm("n").rollback("hub", 7, 60, print, lambda: looked.append("at the pods"))
    argv, options = fake.calls[-1]
    assert argv[:4] == ["helm", "rollback", "hub", "7"]
    options["on_tick"]()
    assert looked == ["at the pods"]


def test_freeing_a_release_waits_for_no_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = _Helm(monkeypatch, "v3.14.4", "")
    Helm("n").free("hub", 7)
    assert fake.calls[-1][0][:4] == ["helm", "rollback", "hub", "7"]
    assert "--wait" not in fake.calls[-1][0]


@pytest.mark.parametrize("version", ["v3.13.9", "what"])
def test_an_old_helm_is_refused(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _Helm(monkeypatch, version)
    with pytest.raises(Permanent, match=r"install Helm 3\.14 or newer"):
        Helm("n").read_version()


def test_history_is_read_oldest_first_and_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [{"revision": n, "status": "s", "chart": "c", "description": "d", "updated": ""} for n in (2, 1)]
    missing = Permanent("helm", "history", "exit code 1: Error: release: not found", "")
    _Helm(monkeypatch, json.dumps(lines), missing)
    assert [revision.number for revision in Helm("n").list_revisions("hub")] == [1, 2]
    assert Helm("n").list_revisions("hub") == ()


def test_the_newest_revision_comes_with_its_objects_or_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    said = '7\ndeployed\njupyterhub-4.4.0\n"Upgrade complete"\n---\nkind: Service\n---\n# empty\n---\nkind: Secret\n'
    missing = Permanent("helm", "get", "exit code 1: Error: release: not found", "")
    _Helm(monkeypatch, said, missing)
    newest = Helm("n").read_revision("hub")
    assert newest
    assert newest.revision == Revision(7, "deployed", "jupyterhub-4.4.0", "Upgrade complete")
    assert [found["kind"] for found in newest.objects] == ["Service", "Secret"]
    assert Helm("n").read_revision("hub") is None


def test_an_unreachable_cluster_is_worth_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    _Helm(monkeypatch, Permanent("helm", "x", "exit code 1: dial tcp: connect: connection refused", ""))
    with pytest.raises(Transient):
        Helm("n").list_revisions("hub")


CHART_YAML = """
name: jupyterhub
version: 4.4.1
kubeVersion: ">=1.28.0-0"
sources: [https://chart.test/jupyterhub]
"""
"""As the official one, which has addresses in a list of one line."""


def test_a_chart_whose_archive_was_changed_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "jupyterhub"
    folder.mkdir()
    (folder / "Chart.yaml").write_text(CHART_YAML)
    archive = tmp_path / "jupyterhub.tgz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(folder, "jupyterhub")
    chart = Chart(path=str(archive), version="4.4.0")
    found = Helm("n").read_chart(chart, tmp_path)
    assert (found.title, found.kube_version) == ("jupyterhub-4.4.1", ">=1.28.0-0")
    assert Helm("n").read_chart(Chart(path=str(folder), version="4.4.0"), tmp_path).title == "jupyterhub-4.4.1"
    pinned = Helm("n").read_chart(chart.model_copy(update={"digest": found.digest}), tmp_path)
    assert pinned == found
    with pytest.raises(Permanent, match=f"its digest is {found.digest}"):
        Helm("n").read_chart(chart.model_copy(update={"digest": DIGEST}), tmp_path)
    with pytest.raises(Permanent, match="there is nothing"):
        Helm("n").read_chart(Chart(path="none.tgz", version="4.4.0"), tmp_path)
    archive.write_bytes(b"no chart")
    with pytest.raises(Permanent, match="it is no chart"):
        Helm("n").read_chart(chart, tmp_path)


# A registry, at the seam of its transport.


def _registry(*answers: httpx.Response | Exception) -> tuple[Registry, list[httpx.Request]]:
    seen: list[httpx.Request] = []
    queue = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        answer = queue.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Registry("r.io", None, transport=httpx.MockTransport(handle)), seen


def test_a_tag_has_a_digest_also_where_a_token_is_needed() -> None:
    found = httpx.Response(200, headers={"Docker-Content-Digest": DIGEST})
    registry, _ = _registry(found)
    assert registry.read_digest("team/notebook", "v1") == DIGEST
    challenge = httpx.Response(401, headers={"WWW-Authenticate": 'Bearer realm="https://r.io/token",service="r"'})
    registry, seen = _registry(challenge, httpx.Response(200, json={"token": "t"}), found)
    assert registry.read_digest("team/notebook", "v1") == DIGEST
    assert str(seen[1].url) == "https://r.io/token?service=r"
    assert seen[2].headers["authorization"] == "Bearer t"


@pytest.mark.parametrize(
    ("answers", "kind", "said"),
    [
        ([httpx.Response(404)], Permanent, "no such image or tag"),
        ([httpx.Response(403)], Permanent, "may not be read"),
        ([httpx.Response(401), httpx.Response(401)], Permanent, "may not be read"),
        ([httpx.Response(502)], Transient, "502"),
        ([httpx.ConnectError("refused")], Transient, "refused"),
    ],
)
def test_what_a_registry_refuses(answers: list[Any], kind: type[HubError], said: str) -> None:
    registry, _ = _registry(*answers)
    with pytest.raises(kind, match=said):
        registry.read_digest("team/notebook", "v1")


# What a user meets.


HUB = load_profile("iav-v1")


def _pod(**changed: Any) -> dict[str, Any]:
    container = {
        "image": str(IMAGE),
        "resources": {
            "limits": {"cpu": "1", "memory": str(2**30)},
            "requests": {"cpu": "100m", "memory": "268435456"},
        },
        "volumeMounts": [{"name": "home", "mountPath": "/home/jovyan"}, {"name": "shared", "mountPath": "/shared"}],
        **changed,
    }
    claims = {"home": "claim-x", "shared": "jupyterhub-shared-home"}
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": claim}} for name, claim in claims.items()]
    return {"spec": {"containers": [container], "volumes": volumes}}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ()),
        ({"image": "r.io/x"}, (f"image is r.io/x, not {IMAGE}",)),
        ({"resources": {}}, ("cpu limits is 0, not 1", "cpu requests is 0, not 100m")),
        ({"volumeMounts": []}, ("no volume at /home/jovyan", "/shared is None, not jupyterhub-shared-home")),
    ],
)
def test_a_users_pod_is_compared_with_the_spec(changed: dict[str, Any], said: tuple[str, ...]) -> None:
    assert pod_differences(_pod(**changed), HUB, HUB.allowances[EVERYBODY], IMAGE)[: len(said) or None] == said


@pytest.mark.parametrize(
    ("status", "late"),
    [
        ({"observedGeneration": 2, "updatedReplicas": 1, "availableReplicas": 1}, ()),
        ({"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1}, ("hub has 1 of 1 pods available",)),
        ({"observedGeneration": 2, "updatedReplicas": 1}, ("hub has 0 of 1 pods available",)),
        ({}, ("hub has 0 of 1 pods available",)),
    ],
)
def test_a_deployment_is_available_at_its_newest_template(status: dict[str, int], late: tuple[str, ...]) -> None:
    deployment = {"metadata": {"name": "hub", "generation": 2}, "spec": {"replicas": 1}, "status": status}
    assert not_available([deployment]) == late


def _session(routes: dict[str, httpx.Response]) -> tuple[UserSession, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return routes[f"{request.method} {request.url.path}"]

    return UserSession(Address("http://hub.test"), "bob", transport=httpx.MockTransport(handle)), seen


def _cookie(path: str, value: str) -> list[tuple[str, str]]:
    return [("Set-Cookie", f"_xsrf={value}; Path={path}")]


def test_signing_in_sends_the_pages_own_token_and_starts_no_server() -> None:
    page = httpx.Response(200, headers=_cookie("/hub/", "hub-token"))
    home = httpx.Response(302, headers={"Location": "/hub/home"})
    routes = {"GET /hub/login": page, "POST /hub/login": home, "GET /hub/home": httpx.Response(200)}
    session, seen = _session(routes)
    assert session.sign_in(SecretStr("pw")) is Entry.IN
    assert b"_xsrf=hub-token" in seen[1].content
    assert seen[1].url.params["next"] == "/hub/home"


def test_a_refused_password_is_no_error() -> None:
    session, _ = _session({"GET /hub/login": httpx.Response(200), "POST /hub/login": httpx.Response(403)})
    assert session.sign_in(SecretStr("wrong")) is Entry.PASSWORD_REFUSED


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([{"message": "Server requested"}, {"message": "Ready", "ready": True}], None),
        ([{"message": "Spawn failed: no node", "failed": True}], "Spawn failed: no node"),
        ([{"message": "Server requested"}], "the last word was 'Server requested'"),
    ],
)
def test_a_servers_start_is_followed_to_its_end(events: list[dict[str, Any]], said: str | None) -> None:
    stream = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    routes = {
        "POST /hub/api/users/bob/server": httpx.Response(202),
        "GET /hub/api/users/bob/server/progress": httpx.Response(200, text=stream),
        "GET /user/bob/lab": httpx.Response(200),
    }
    session, seen = _session(routes)
    heard: list[str] = []
    if said:
        with pytest.raises(Permanent, match=said):
            session.start_server(10, heard.append, lambda: None)
    else:
        session.start_server(10, heard.append, lambda: None)
        assert seen[-1].url.path == "/user/bob/lab"
    assert heard == [event["message"] for event in events]


@pytest.mark.parametrize(("status", "kind"), [(500, Transient), (403, Permanent)])
def test_a_hub_that_fails_may_be_asked_again_and_one_that_refuses_not(status: int, kind: type[HubError]) -> None:
    session, _ = _session({"GET /hub/api/user": httpx.Response(status)})
    with pytest.raises(kind, match=str(status)):
        session.stop_server()


# The command.


def _deploy(result: DeployResult | HubError) -> Any:
    def run(_profile: str, *, plan_only: bool, image: str | None) -> DeployResult:
        assert plan_only in (True, False)
        assert image is None
        if isinstance(result, HubError):
            raise result
        return result

    return run


CHANGED = DeployResult(plan=Plan((Change.of(Action.CREATE, "Namespace n"),)))


@pytest.mark.parametrize(
    ("words", "result", "code"),
    [
        (["deploy", "sandbox-iav-v1"], CHANGED, 0),
        (["deploy", "sandbox-iav-v1", "--plan-only"], CHANGED, 2),
        (["deploy", "sandbox-iav-v1", "--plan-only"], DeployResult(plan=Plan()), 0),
        (["deploy", "sandbox-iav-v1"], Permanent("hub", "x", "y", "z"), 1),
        (["deploy", "nobody"], CHANGED, 3),
    ],
)
def test_exit_codes(words: list[str], result: Any, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "deploy", _deploy(result))
    assert command.main(words) == code


@pytest.mark.parametrize("words", [[], ["fly"], ["deploy"], ["deploy", "sandbox-iav-v1", "--what"]])
def test_words_that_make_no_sense_are_bad_input(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 3


def test_json_is_all_that_standard_output_gets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "deploy", _deploy(CHANGED))
    command.main(["deploy", "sandbox-iav-v1", "--json"])
    change = {"action": "create", "what": "Namespace n", "before": "", "after": ""}
    assert json.loads(capsys.readouterr().out) == {"plan": [change], "record": None, "checks": []}


def test_a_rebuild_says_what_it_ended_with(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    result = RebuildResult(image="r.io/a/b@sha256:0", tags=("v1", "inputs-1"), inputs="1", built=False)
    monkeypatch.setattr(command, "rebuild_image", lambda _profile, **_options: result)
    assert command.main(["rebuild-image", "sandbox"]) == 0
    assert "nothing changed; tags v1, inputs-1" in capsys.readouterr().out
    assert command.main(["rebuild-image", "sandbox", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(result.model_dump_json())


@pytest.mark.parametrize(
    ("words", "plan", "code"),
    [(["--propose"], CHANGED.plan, 2), (["--propose"], Plan(), 0), ([], CHANGED.plan, 0), (["--json"], Plan(), 0)],
)
def test_a_proposal_that_would_change_something_has_an_exit_code_of_its_own(
    words: list[str], plan: Plan, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "lock_image", lambda _profile, **_options: plan)
    assert command.main(["lock-image", "sandbox", *words]) == code


@pytest.mark.parametrize(
    ("words", "function", "nothing"),
    [
        (["lock-image", "--propose"], "lock_image", "the locks are those of today"),
        (["renew-robots"], "renew_robots", "Nothing to renew"),
    ],
)
def test_a_plan_is_shown_as_a_table_or_as_json(
    words: list[str],
    function: str,
    nothing: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for plan, said in ((CHANGED.plan, "Namespace n"), (Plan(), nothing)):
        monkeypatch.setattr(command, function, lambda _profile, plan=plan, **_options: plan)
        command.main([*words, "sandbox"])
        assert said in capsys.readouterr().out
        command.main([*words, "sandbox", "--json"])
        changes = [{"action": "create", "what": "Namespace n", "before": "", "after": ""}]
        assert json.loads(capsys.readouterr().out) == {"plan": [] if plan.empty else changes}


@pytest.mark.parametrize(
    ("words", "function"),
    [
        (["rebuild-image"], "rebuild_image"),
        (["lock-image", "--propose"], "lock_image"),
        (["renew-robots"], "renew_robots"),
    ],
)
def test_a_flow_that_fails_says_why_and_leaves_standard_output_empty(
    words: list[str], function: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_profile: str, **_options: bool) -> Any:
        raise Permanent("Harbor", "look", "it is away", "wait")

    monkeypatch.setattr(command, function, refuse)
    assert command.main([*words, "sandbox", "--json"]) == 1
    said = capsys.readouterr()
    assert "Harbor: look: it is away" in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("words", "function", "wanted"),
    [
        ([], "rebuild_image", {"force": False, "deploy_after": False}),
        (["--force", "--deploy-after"], "rebuild_image", {"force": True, "deploy_after": True}),
        ([], "lock_image", {"propose": False}),
        (["--propose"], "lock_image", {"propose": True}),
    ],
)
def test_what_is_said_in_a_shell_is_what_the_flow_is_asked(
    words: list[str], function: str, wanted: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, bool]] = []

    def ask(_profile: str, **options: bool) -> Any:
        asked.append(options)
        raise Permanent("hub", "x", "y", "z")

    monkeypatch.setattr(command, function, ask)
    command.main([function.replace("_", "-"), "sandbox", *words])
    assert asked == [wanted]


@pytest.mark.parametrize("flow", ["rebuild-image", "lock-image"])
def test_a_profile_that_builds_nothing_is_bad_input_for_what_builds(
    flow: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([flow, "iav-v1"]) == 3
    assert "image.build is missing" in capsys.readouterr().err


def test_a_hubs_address_is_that_of_its_ingress_unless_the_checks_have_another() -> None:
    hub: Hub = load_profile("iav-v1")
    assert hub.url == "https://jupyterhub-test.example.internal"
    assert load_profile("sandbox-iav-v1").url == hub.url
