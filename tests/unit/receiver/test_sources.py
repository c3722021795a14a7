"""What the receiver reads for itself: secrets without a cluster, and how Prefect stands."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from starlette.applications import Starlette

from config.secrets import KubernetesSecretKey, SecretRef
from deployments.receiver import __main__ as main
from deployments.receiver import sources
from tasks.core.errors import Permanent, Transient
from tests.harbors import hub_with
from tests.unit.receiver.receivers import hub

IN_A_CLUSTER = SecretRef(kubernetes=KubernetesSecretKey(namespace="n", name="s", key="k"))


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))


def test_secrets_in_files_and_variables_need_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("Bearer one\n")
    monkeypatch.setenv("HARBOR_WEBHOOK", "Bearer two")
    assert sources.read_secret(SecretRef(file=str(tmp_path / "secret"))).get_secret_value() == "Bearer one"
    assert sources.read_secret(SecretRef(env="HARBOR_WEBHOOK")).get_secret_value() == "Bearer two"
    with pytest.raises(Permanent):
        sources.read_secret(IN_A_CLUSTER)


def test_a_secret_that_prefect_keeps_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_arguments: object) -> None:
        raise httpx.ConnectError("marker")

    monkeypatch.setattr(sources, "read_any_secret", unreachable)
    with pytest.raises(Transient, match="Prefect Secret block webhook: no answer: ConnectError"):
        sources.read_secret(SecretRef(prefect_block="webhook"))


def test_prefect_that_is_not_there_is_said_in_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise httpx.ConnectError("no")

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", refuse)
    with temporary_settings({PREFECT_API_URL: "http://prefect.example.internal/api"}):
        assert sources.why_no_prefect() == "Prefect does not answer: ConnectError"
        monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda *_: httpx.Response(401))
        assert sources.why_no_prefect() == "Prefect answers 401"
        monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda *_: httpx.Response(200))
        assert sources.why_no_prefect() == ""


def test_only_hubs_that_follow_a_tag_are_listened_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    app = main.receiver_of([("a", hub("a")), ("b", hub_with("b"))])
    assert isinstance(app, Starlette)
    assert "hub a: registry.example.com/iav/base-notebook:v1" in caplog.text
    assert "hub b: no event concerns it" in caplog.text


def test_without_prefect_or_an_installation_it_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("HUBWRIGHT_INSTALLATION", str(tmp_path / "none.yaml"))
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert main.main() == main.BAD_INPUT
    assert "PREFECT_API_URL" in capsys.readouterr().err
    with temporary_settings({PREFECT_API_URL: "http://prefect.example.internal/api"}):
        assert main.main() == main.BAD_INPUT
    assert "none.yaml" in capsys.readouterr().err
