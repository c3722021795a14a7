"""Prefect's client for those who start runs of deployments, and its errors as ours."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound

from tasks.core.errors import HubError, Permanent, Transient
from tasks.core.wait import parse_retry_after

REQUEST_SECONDS = 10.0
SHOWN_CHARACTERS = 300
UNAUTHORIZED = (401, 403)
BAD_PARAMETERS = (409, 422)
MAY_PASS = (408, 429)
SERVER_ERROR = 500


def open_client() -> SyncPrefectClient:
    """A client whose requests are bounded, to be entered."""
    return get_client({"timeout": httpx.Timeout(REQUEST_SECONDS)}, sync_client=True)


@contextmanager
def prefect_errors(asked: str) -> Generator[None]:
    """Around requests about a deployment: Permanent is raised where there is none, or where Prefect refuses.

    Transient is raised while Prefect does not answer.
    """
    try:
        yield
    except ObjectNotFound:
        remedy = "run python -m deployments.register, with the hub in the installation's list"
        raise Permanent("Prefect", asked, "there is no such deployment", remedy) from None
    except httpx.HTTPStatusError as error:
        raise _refused(asked, error.response) from None
    except httpx.HTTPError as error:
        remedy = "check that its server runs, and that PREFECT_API_URL is where it serves"
        raise Transient("Prefect", asked, f"no answer: {type(error).__name__}: {error}", remedy) from error


def _refused(asked: str, response: httpx.Response) -> HubError:
    answered = f"{response.status_code} {response.text.strip()[:SHOWN_CHARACTERS] or response.reason_phrase}"
    if response.status_code in UNAUTHORIZED:
        remedy = "give user and password of its API in PREFECT_API_AUTH_STRING"
        return Permanent("Prefect", asked, answered, remedy)
    if response.status_code in MAY_PASS or response.status_code >= SERVER_ERROR:
        wait = parse_retry_after(response.headers.get("Retry-After"))
        return Transient("Prefect", asked, answered, "look into its server's log, then try again", retry_after=wait)
    remedy = "run python -m deployments.register: the deployment may be of another version of Hubwright"
    if response.status_code in BAD_PARAMETERS:
        remedy = f"correct what it refuses; if that is right, {remedy}"
    return Permanent("Prefect", asked, answered, remedy)
