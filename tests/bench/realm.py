"""What sign-in with Keycloak costs a deploy: the whole of a first one by its steps, and looking when all is well."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from kubernetes import client
from prefect.logging import disable_run_logger

from config.identity import KeycloakIdentity
from config.profiles import load_profile
from config.spec import Hub
from tasks.core.address import Address
from tasks.keycloak.phase import look_at_keycloak
from tasks.oidc.phase import look_at_provider
from tests.bench.hubs import Hubs
from tests.bench.measure import hubwright
from tests.bench.report import Figure
from tests.sandbox.conftest import Profile, Sandbox, admin_of, keycloak_writes, new_thinkube
from tests.sandbox.keycloak.front import ADDRESS, Front

ROUNDS = 5
MOST_REQUESTS = 6
FLOOR_SECONDS = 15
UNBOUND = float("inf")


def realm(hubs: Hubs) -> Iterator[Figure]:
    """A hub with a client of its own, from nothing; then looks at a realm that is as it should be."""
    with _thinkube(hubs.sandbox) as profile:
        print("first deploy of thinkube", flush=True)
        first = hubwright(replace(hubs, ours=profile))
        for step, seconds in first.steps.items():
            yield Figure(f"first deploy of thinkube: {step}", "s", seconds, 0, UNBOUND, passed=True)
        yield Figure("first deploy of thinkube: checks apart", "s", first.flow_seconds, 0, UNBOUND, passed=True)
        yield from _no_op(hubs.sandbox, load_profile(str(profile)))


def _no_op(sandbox: Sandbox, hub: Hub) -> Iterator[Figure]:
    assert isinstance(hub.identity, KeycloakIdentity)
    print("looking at Keycloak when nothing is to be done", flush=True)
    admin, since = admin_of(sandbox), int(time.time() * 1000) + 1
    with closing(Front(sandbox.paths)) as front, disable_run_logger():
        _look(hub.model_copy(update={"identity": hub.identity.model_copy(update={"address": ADDRESS})}))
    requests = len(front.asked)
    ours, floor = zip(*((_timed_look(hub), _floor(hub)) for _ in range(ROUNDS)), strict=True)
    writes = len(keycloak_writes(admin, since, hub.identity.client_id))
    yield Figure("no-op of both phases: requests", "", requests, MOST_REQUESTS, 1.0, requests <= MOST_REQUESTS)
    yield Figure("no-op of both phases: writes", "", writes, 0, 0.0, writes == 0)
    yield Figure.ratio("no-op of both phases, beside token + GET client", "s", median(ours), median(floor), UNBOUND)


def _look(hub: Hub) -> None:
    look_at_provider.fn(hub)
    assert look_at_keycloak.fn(hub).plan.empty


def _timed_look(hub: Hub) -> float:
    started = time.monotonic()
    with disable_run_logger():
        _look(hub)
    return time.monotonic() - started


def _floor(hub: Hub) -> float:
    """A token and the client, as any script would get them."""
    identity = hub.identity
    assert isinstance(identity, KeycloakIdentity)
    assert identity.deployer.client_secret.file
    secret = Path(identity.deployer.client_secret.file).read_text().strip()
    form = {"grant_type": "client_credentials", "client_id": identity.deployer.client_id, "client_secret": secret}
    started = time.monotonic()
    with closing(Address(identity.server, identity.ca, identity.address).open_client(FLOOR_SECONDS)) as http:
        answer = http.post(f"{identity.issuer}/protocol/openid-connect/token", data=form).raise_for_status()
        token = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        url = f"{identity.server}/admin/realms/{identity.realm}/clients"
        http.get(url, params={"clientId": identity.client_id}, headers=token).raise_for_status()
    return time.monotonic() - started


@contextmanager
def _thinkube(sandbox: Sandbox) -> Generator[Profile]:
    """A profile with a namespace and a client of its own, which are deleted afterwards."""
    with TemporaryDirectory() as folder:
        profile = new_thinkube(sandbox, Path(folder), f"bench-{os.urandom(4).hex()}")
        try:
            yield profile
        finally:
            admin = admin_of(sandbox)
            found = admin.get_client_id(profile.namespace)
            if found:
                admin.delete_client(found)
            client.CoreV1Api(sandbox.api()).delete_namespace(profile.namespace)
