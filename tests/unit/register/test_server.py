"""Prefect's errors as ours, and what is told of writes."""

from __future__ import annotations

from unittest.mock import Mock

import httpx
import pytest
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.register.server import PAGE, Server, open_server
from tasks.core.change import Action, Change, Plan
from tasks.core.errors import HubError, Permanent, Transient

PLAN = Plan((Change.of(Action.CREATE, "work pool hubs"),))


def raising(error: Exception) -> Mock:
    return Mock(side_effect=error)


def status(code: int) -> Exception:
    request = httpx.Request("GET", "http://prefect/api")
    return httpx.HTTPStatusError("", request=request, response=httpx.Response(code, text="its words", request=request))


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (status(401), Permanent, "PREFECT_API_AUTH_STRING"),
        (status(422), Permanent, "HTTP 422: its words"),
        (status(429), Transient, "HTTP 429"),
        (status(500), Transient, "look into the server's log"),
        (httpx.ConnectError("refused"), Transient, "no answer: ConnectError: refused"),
        (httpx.ReadTimeout("slow"), Transient, "no answer: ReadTimeout"),
        (ObjectAlreadyExists(Exception()), Permanent, "it is there already, made meanwhile"),
    ],
)
def test_an_error_says_whether_it_may_pass(error: Exception, kind: type[HubError], told: str) -> None:
    with pytest.raises(kind, match="Prefect: list deployments: ") as caught:
        Server(Mock()).ask("list deployments", raising(error))
    assert told in str(caught.value)


def test_what_is_not_there_is_none() -> None:
    assert Server(Mock()).find("read it", raising(ObjectNotFound(Exception()))) is None


def test_what_is_written_is_kept_and_what_failed_is_not() -> None:
    server = Server(Mock())
    with pytest.raises(Permanent, match="create work pool hubs: something that it names is gone"):
        server.write(PLAN, raising(ObjectNotFound(Exception())))
    assert server.changed.empty
    assert server.write(PLAN, lambda: 7) == 7
    assert server.changed == PLAN


def test_a_long_list_is_read_to_its_end() -> None:
    everything = list(range(PAGE + 1))
    assert Server(Mock()).list_all("list", lambda offset: everything[offset : offset + PAGE]) == everything


def test_without_an_address_no_server_of_its_own_is_started() -> None:
    with (
        temporary_settings({PREFECT_API_URL: None}),
        pytest.raises(Permanent, match="PREFECT_API_URL is not set"),
        open_server(),
    ):
        pass
