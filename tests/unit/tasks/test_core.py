"""What phases share: changes and plans, objects compared, processes, records, errors, secrets."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from urllib3.exceptions import MaxRetryError

from config.secrets import SecretRef
from tasks.core import process, wait
from tasks.core.change import HIDDEN, Action, Change, Plan, compare
from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.kubernetes import Kubernetes
from tasks.core.objects import CONFIG_MAP, ROLE, SECRET, Kind, WantedObject, plan_object
from tasks.core.process import run
from tasks.core.record import CheckResult, ReleaseRecord
from tasks.core.records import ensure_record, list_records
from tasks.core.secrets import read_secret
from tasks.core.wait import ask_patiently, parse_retry_after, wait_until

PYTHON = sys.executable


def test_an_error_says_system_question_answer_and_what_to_do() -> None:
    text = str(Permanent("Harbor", "GET /x", "404", "push it"))
    assert text == "Harbor: GET /x: 404\n  What to do: push it"


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({}, {}, []),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, []),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, [("update", "x a.b", "1", "2")]),
        ({}, {"a": {"b": "c"}}, [("create", "x a.b", "", "c")]),
        ({"a": [1]}, {}, [("delete", "x a", "[1]", "")]),
        ({"a": {}}, {"a": {"b": 1}}, [("delete", "x a", "{}", ""), ("create", "x a.b", "", "1")]),
    ],
)
def test_compare_finds_each_leaf_that_differs(before: Any, after: Any, changes: list[tuple[str, ...]]) -> None:
    assert [(c.action, c.what, c.before, c.after) for c in compare("x", before, after)] == changes


def test_a_change_is_told_in_one_line() -> None:
    assert str(Change.of(Action.CREATE, "Namespace n")) == "create Namespace n"
    assert str(Change.of(Action.UPDATE, "x a", 1, 2)) == "update x a: 1 -> 2"
    assert str(Change.hidden(Action.CREATE, "Secret s")) == "create Secret s: nothing -> (hidden)"


def test_long_values_are_cut_and_plans_add_up() -> None:
    change = Change.of(Action.UPDATE, "x", "a" * 500, "b")
    assert len(change.before) == 120
    plan = Plan((change,)) + Plan()
    assert list(plan) == [change]
    assert not plan.empty
    assert Plan().empty


ROLE_WANTED = WantedObject(ROLE, "r", "n", {"rules": [1]})
OWNED = [
    {"manager": "hubwright", "operation": "Apply", "fieldsV1": {"f:rules": {}, "f:metadata": {"f:labels": {"f:a": {}}}}}
]


@pytest.mark.parametrize(
    ("wanted", "seen", "changes"),
    [
        (ROLE_WANTED, None, ["create Role r"]),
        (ROLE_WANTED, {"rules": [1], "metadata": {"labels": {"theirs": "x"}}}, []),
        (ROLE_WANTED, {"rules": [2]}, ["update Role r rules"]),
        (ROLE_WANTED, {}, ["create Role r rules"]),
        (ROLE_WANTED, {"rules": [1], "metadata": {"managedFields": OWNED}}, ["delete Role r metadata.labels.a"]),
        (WantedObject(ROLE, "r", "n", {"rules": [1]}, once=True), {"rules": [2]}, []),
    ],
)
def test_an_object_is_compared_by_the_fields_that_are_ours(wanted: WantedObject, seen: Any, changes: list[str]) -> None:
    assert [f"{c.action} {c.what}" for c in plan_object(wanted, seen)] == changes


@pytest.mark.parametrize("seen", [None, {}, {"data": {"p": "b2xk"}}])
def test_a_secrets_values_are_in_no_plan(seen: Any) -> None:
    plan = plan_object(WantedObject(SECRET, "s", "n", {"data": {"p": "c2VjcmV0"}}), seen)
    assert not plan.empty
    assert {change.after for change in plan} == {HIDDEN}
    assert {change.before for change in plan} <= {"", HIDDEN}


@pytest.mark.processes
def test_a_command_gives_its_output_line_by_line() -> None:
    lines: list[str] = []
    code = "import sys; print('a'); print(sys.stdin.read()); print('e', file=sys.stderr)"
    output = run([PYTHON, "-c", code], timeout=10, remedy="none", stdin="in", on_line=lines.append)
    assert (output.stdout, output.stderr) == ("a\nin\n", "e\n")
    assert sorted(lines) == ["a", "e", "in"]


@pytest.mark.processes
@pytest.mark.parametrize(
    ("argv", "kind", "said"),
    [
        ([PYTHON, "-c", "import sys; print('why', file=sys.stderr); sys.exit(4)"], Permanent, "exit code 4: why"),
        ([PYTHON, "-c", "import time; time.sleep(60)"], Transient, "did not end within 0.2 s"),
        (["no-such-command"], Permanent, "cannot be started"),
    ],
)
def test_a_command_that_fails_says_how(argv: list[str], kind: type[HubError], said: str) -> None:
    with pytest.raises(kind, match=said):
        run(argv, timeout=5 if kind is Permanent else 0.2, remedy="look")


@pytest.mark.processes
def test_what_a_tick_raises_ends_the_command_which_may_tidy_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TICK_SECONDS", 0.05)
    code = (
        "import pathlib, signal, sys, time\n"
        "def end(*_): pathlib.Path(sys.argv[1]).touch(); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    lines: list[str] = []

    def tick() -> None:
        if lines == ["ready"]:
            raise Permanent("x", "y", "enough", "z")

    with pytest.raises(Permanent, match="enough"):
        run(
            [PYTHON, "-c", code, str(tmp_path / "tidied")],
            timeout=60,
            remedy="none",
            on_line=lines.append,
            on_tick=tick,
        )
    assert (tmp_path / "tidied").exists()


def test_waiting_ends_with_what_was_missing() -> None:
    answers = iter(["a", "b", ""])
    said: list[str] = []
    wait_until("hub", "answer", lambda: next(answers), seconds=10, remedy="look", say=said.append)
    assert said == ["a", "b"]
    with pytest.raises(Permanent, match="not within 0 s: still"):
        wait_until("hub", "answer", lambda: "still", seconds=0, remedy="look")


def _busy(*, retry_after: float = 0.0) -> Transient:
    return Transient("Keycloak", "GET /x", "503 busy", "wait", retry_after=retry_after)


class _Clock:
    """Time that only passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(wait, "time", clock)
    return clock


def test_a_question_is_asked_again_until_it_is_answered(clock: _Clock) -> None:
    answers: list[Any] = [_busy(), _busy(retry_after=7), "yes"]
    said: list[str] = []

    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Transient):
            raise answer
        return answer

    assert ask_patiently(ask, said.append) == "yes"
    assert said == ["waiting for Keycloak: 503 busy"] * 2
    assert clock.now == wait.ASK_AGAIN_SECONDS + 7


@pytest.mark.parametrize(("retry_after", "waited"), [(0, 60), (25, 50), (3600, 0)])
def test_patience_ends_and_does_not_wait_for_what_comes_too_late(
    clock: _Clock, retry_after: float, waited: float
) -> None:
    def ask() -> None:
        raise _busy(retry_after=retry_after)

    with pytest.raises(Permanent, match="not within 60 s: 503 busy"):
        ask_patiently(ask, lambda _said: None)
    assert clock.now == waited


def test_what_stays_wrong_is_not_asked_again(clock: _Clock) -> None:
    def ask() -> None:
        raise Permanent("Keycloak", "GET /x", "403", "ask for more")

    with pytest.raises(Permanent, match="403"):
        ask_patiently(ask, lambda _said: None)
    assert clock.now == 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("120", 120),
        ("soon", 0),
        ("-3", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00", 0),
    ],
)
def test_how_long_a_server_asks_to_be_left_alone(header: str | None, seconds: float) -> None:
    assert parse_retry_after(header) == seconds


def test_a_date_from_which_on_a_server_may_be_asked() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)
    assert 290 < parse_retry_after(later) <= 300


class _Api:
    """The API server at the seam of the Kubernetes client: answers in order, requests kept."""

    def __init__(self, *answers: tuple[int, Any] | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, str]] = []
        self.configuration = client.Configuration(host="https://k8s.test")

    def param_serialize(self, method: str, path: str, **_rest: Any) -> tuple[str, str]:
        return method, path

    def call_api(self, method: str, path: str, **_rest: Any) -> Any:
        self.requests.append((method, path))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body = answer
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        return type("Answer", (), {"status": status, "reason": "reason", "read": lambda _self: text})()


def _kubernetes(*answers: tuple[int, Any] | Exception) -> tuple[Kubernetes, _Api]:
    api = _Api(*answers)
    return Kubernetes(api), api  # pyright: ignore[reportArgumentType]


STATUS = {"kind": "Status", "message": "because"}


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ((403, STATUS), Permanent, "403 because"),
        ((409, STATUS), Permanent, "--field-manager=hubwright"),
        ((422, STATUS), Permanent, "change the profile"),
        ((429, STATUS), Transient, "429 because"),
        ((503, b"<html>secret"), Transient, "503 reason"),
        ((400, {"kind": "Other", "message": "secret"}), Permanent, "400 reason"),
        (MaxRetryError(None, "/", OSError("refused")), Transient, "https://k8s.test cannot be reached"),  # type: ignore[arg-type]
    ],
)
def test_kubernetes_failures_become_ours(answer: Any, kind: type[HubError], said: str) -> None:
    kubernetes, _ = _kubernetes(answer)
    with pytest.raises(kind, match=said) as error:
        kubernetes.read(ROLE, "r", "n")
    assert "secret" not in str(error.value)


def test_ensure_writes_only_what_differs() -> None:
    kubernetes, api = _kubernetes((404, STATUS), (201, {}), (200, {"rules": [1]}))
    assert not kubernetes.ensure(ROLE_WANTED).empty
    assert kubernetes.ensure(ROLE_WANTED).empty
    path = "/apis/rbac.authorization.k8s.io/v1/namespaces/n/roles/r"
    assert api.requests == [("GET", path), ("PATCH", path), ("GET", path)]


def test_an_object_that_is_made_once_is_created_and_never_applied() -> None:
    wanted = WantedObject(Kind("v1", "Secret", "secrets"), "s", "n", {"data": {}}, once=True)
    kubernetes, api = _kubernetes((404, STATUS), (201, {}), (200, {"data": {"other": "x"}}))
    kubernetes.ensure(wanted)
    assert kubernetes.ensure(wanted).empty
    assert [method for method, _ in api.requests] == ["GET", "POST", "GET"]


def _record(revision: int, *passed: bool) -> ReleaseRecord:
    checks = tuple(CheckResult(name="c", passed=one, detail="", seconds=0) for one in passed)
    return ReleaseRecord(
        hub="h", release="jupyterhub", revision=revision, chart="c-1.0.0", chart_digest="d", values_hash="v",
        image="i", checks=checks, recorded_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def test_records_are_read_newest_first_and_garbled_ones_passed_over() -> None:
    items = [{"data": {"record.json": _record(number, True).model_dump_json()}} for number in (2, 10)]
    kubernetes, _ = _kubernetes((200, {"items": [*items, {"data": {"record.json": "garbled"}}, {}]}))
    assert [record.revision for record in list_records(kubernetes, "n", "jupyterhub")] == [10, 2]


@pytest.mark.parametrize(
    ("kept", "methods"),
    [
        (None, ["GET", "PATCH"]),
        (_record(3, True), ["GET"]),
        (_record(3, False), ["GET", "PATCH"]),
    ],
)
def test_a_healthy_record_is_never_written_over(kept: ReleaseRecord | None, methods: list[str]) -> None:
    found = (200, {"data": {"record.json": kept.model_dump_json()}}) if kept else (404, STATUS)
    kubernetes, api = _kubernetes(found, (200, {}))
    ensure_record(kubernetes, "n", _record(3, False))
    assert [method for method, _ in api.requests] == methods
    assert CONFIG_MAP.plural in api.requests[0][1]


def test_a_secrets_file_loses_its_last_newline_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    file.write_text(" a b \n\n")
    kubernetes, _ = _kubernetes((200, {"data": {"k": "c2VjcmV0"}}), (404, STATUS))
    assert read_secret(SecretRef(file=str(file)), kubernetes).get_secret_value() == " a b \n"
    monkeypatch.setenv("HUB", "from-env")
    assert read_secret(SecretRef(env="HUB"), kubernetes).get_secret_value() == "from-env"
    place = SecretRef.model_validate({"kubernetes": {"namespace": "n", "name": "s", "key": "k"}})
    assert read_secret(place, kubernetes).get_secret_value() == "secret"
    for missing in (place, SecretRef(env="NOT_THERE"), SecretRef(file=str(tmp_path / "none"))):
        with pytest.raises(Permanent, match="secrets: read the"):
            read_secret(missing, kubernetes)
