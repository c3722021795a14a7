"""A Keycloak that is wrong, busy, slow, away or cut off in the middle: what is told, and that the work goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

import pytest
from keycloak import KeycloakAdmin

from config.identity import KeycloakIdentity
from config.spec import Hub
from deployments.sandbox.addresses import NODE_IP
from deployments.sandbox.realm import REALM
from tasks.core.errors import Permanent, Transient
from tasks.core.kubernetes import Kubernetes
from tasks.core.secrets import read_secret
from tasks.keycloak import connection, phase
from tasks.keycloak.client import Keycloak
from tasks.keycloak.phase import ensure_client, ensure_roles, look_at_keycloak
from tasks.keycloak.plan import wanted_client
from tasks.oidc.client import read_provider
from tests.sandbox.conftest import Sandbox
from tests.sandbox.keycloak.conftest import FENCE, Log, changed, client_of, set_up
from tests.sandbox.keycloak.front import ADDRESS, HOST, Front, Trouble, busy, cut_after, cut_before, slow

REQUESTS = 6
"""As many may both phases together take when there is nothing to do."""


@pytest.fixture
def fronted(hub: Hub, front: Front) -> Hub:  # noqa: ARG001
    """The hub, whose Keycloak is behind the front."""
    return changed(hub, address=ADDRESS)


def _identity(hub: Hub) -> KeycloakIdentity:
    return cast("KeycloakIdentity", hub.identity)


def _keycloak(hub: Hub) -> Keycloak:
    identity = _identity(hub)
    return Keycloak.connect(identity, read_secret(identity.deployer.client_secret, Kubernetes.connect()))


def _took(do: Callable[[], Any]) -> float:
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def _look_at_both(hub: Hub) -> None:
    read_provider(_identity(hub))
    assert look_at_keycloak.fn(hub).plan.empty


def test_a_run_with_nothing_to_do_asks_little(
    hub: Hub, fronted: Hub, front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(fronted)
    front.asked.clear()
    _look_at_both(fronted)
    assert len(front.asked) <= REQUESTS, front.asked
    assert [one.rpartition("/")[2] for one in front.asked if not one.startswith("GET")] == ["token"]
    both = min(_took(lambda: _look_at_both(hub)) for _ in range(5))
    floor = min(_took(lambda: _keycloak(hub)._get("clients", "", clientId=hub.name)) for _ in range(5))
    with capsys.disabled():
        print(f"\nno-op: {len(front.asked)} requests, {both:.3f} s; token and GET of the client: {floor:.3f} s")


@pytest.mark.parametrize(("status", "wait"), [(429, "1"), (502, "0"), (503, "0")])
def test_a_busy_keycloak_is_asked_again(fronted: Hub, front: Front, log: Log, status: int, wait: str) -> None:
    front.troubles = [busy(status, retry_after=wait)] * 2
    assert look_at_keycloak.fn(fronted).problems == ()
    assert [said.startswith(f"waiting for Keycloak: {status}") for said in log.said] == [True, True]


def test_a_keycloak_that_asks_for_more_patience_than_there_is_gets_none(fronted: Hub, front: Front) -> None:
    set_up(fronted)
    front.only, front.troubles = "GET", [busy(429, retry_after="3600")]
    with pytest.raises(Permanent, match="not within 60 s: 429 Too Many Requests"):
        look_at_keycloak.fn(fronted)


def test_a_slow_keycloak_is_asked_again(fronted: Hub, front: Front, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 1)
    front.troubles = [slow(2)]
    assert look_at_keycloak.fn(fronted).problems == ()
    assert [said for said in log.said if "timed out" in said]


@pytest.mark.parametrize("trouble", [busy(503), cut_before, cut_after], ids=["busy", "not heard", "heard"])
@pytest.mark.parametrize("write", range(8))
def test_a_write_that_is_cut_is_tried_again_and_nothing_is_made_twice(
    fronted: Hub, front: Front, admin: KeycloakAdmin, trouble: Trouble, write: int
) -> None:
    # The first of each task is for its token, and is asked again with patience.
    front.only, front.troubles = "POST", [lambda _handler: False] * write + [trouble]
    with suppress(Transient):
        set_up(fronted)
    set_up(fronted)
    assert front.troubles == []
    assert look_at_keycloak.fn(fronted).plan.empty
    roles = [role["name"] for role in admin.get_client_roles(client_of(admin, fronted)["id"])]
    assert sorted(roles) == ["admin", "gpu", "user"]


def test_a_keycloak_that_is_away_and_comes_back_in_mid_phase_is_waited_for(
    fronted: Hub, front: Front, sandbox: Sandbox
) -> None:
    ensure_client.fn(fronted, FENCE)
    front.close()
    back: list[Front] = []
    opens = threading.Timer(4, lambda: back.append(Front(sandbox.paths)))
    opens.start()
    ensure_roles.fn(fronted, FENCE)
    opens.join()
    assert look_at_keycloak.fn(changed(fronted, address=NODE_IP)).secret_mark
    back[0].close()


def test_a_keycloak_that_stays_away_ends_the_waiting(
    fronted: Hub, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.close()
    patient = phase.ask_patiently
    monkeypatch.setattr(phase, "ask_patiently", lambda ask, say: patient(ask, say, seconds=1, every=0.2))
    with pytest.raises(Permanent, match=r"not within 1 s: cannot be reached: .*refused"):
        look_at_keycloak.fn(fronted)


@pytest.mark.parametrize(("minutes", "said"), [(5, "ahead of"), (-5, "behind")])
def test_a_clock_that_is_off_is_told_and_stops_nothing(fronted: Hub, front: Front, minutes: int, said: str) -> None:
    front.date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    [problem] = read_provider(_identity(fronted)).problems
    assert said in problem.found
    assert not problem.fatal
    set_up(fronted)


Look = Callable[[Hub], Any]
LOOKS: list[Look] = [lambda hub: read_provider(_identity(hub)), look_at_keycloak.fn]


@pytest.mark.parametrize("look", LOOKS, ids=["oidc", "keycloak"])
def test_a_realm_that_is_not_there_is_told(hub: Hub, look: Look) -> None:
    with pytest.raises(Permanent, match=r"(?s)404.*identity\.issuer"):
        look(changed(hub, issuer=_identity(hub).issuer.replace(REALM, "nowhere")))


@pytest.mark.parametrize("look", LOOKS, ids=["oidc", "keycloak"])
def test_a_certificate_of_an_unknown_ca_is_told(hub: Hub, look: Look) -> None:
    with pytest.raises(Permanent, match=r"(?s)certificate is not trusted: .*identity\.ca"):
        look(changed(hub, ca=None))


@pytest.mark.parametrize("look", LOOKS, ids=["oidc", "keycloak"])
def test_a_certificate_for_another_name_is_told(hub: Hub, look: Look) -> None:
    other = _identity(hub).issuer.replace(HOST, "login.example.internal")
    with pytest.raises(Permanent, match=r"(?s)Hostname mismatch.*login\.example\.internal"):
        look(changed(hub, issuer=other))


@pytest.mark.parametrize("look", LOOKS, ids=["oidc", "keycloak"])
def test_a_ca_that_cannot_be_read_is_told(hub: Hub, look: Look) -> None:
    with pytest.raises(Permanent, match=r"(?s)read the CA in nowhere\.crt.*identity\.ca"):
        look(changed(hub, ca="nowhere.crt"))


def test_another_issuer_than_the_profiles_is_told(hub: Hub) -> None:
    by_address = _identity(hub).issuer.replace(HOST, NODE_IP)
    with pytest.raises(Permanent, match=rf"calls itself 'https://{HOST}"):
        read_provider(_identity(changed(hub, issuer=by_address, address=None)))


def test_an_address_that_keycloak_refuses_for_the_client_is_told(hub: Hub) -> None:
    ensure_client.fn(hub, FENCE)
    keycloak = _keycloak(hub)
    seen = keycloak.read_client(hub.name)
    assert seen
    with pytest.raises(Permanent, match=r"(?s)400 .*[Rr]edirect.*client policy that forbids it"):
        keycloak.update_client(seen, {**wanted_client(hub), "redirectUris": [f"{hub.callback}#here"]})
