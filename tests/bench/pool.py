"""What the installation in the cluster costs: pods of runs, webhooks, and many hubs through one pool.

A part of `make bench`; alone: python -m tests.bench.pool.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median, quantiles
from typing import Any

import httpx

from config.profiles import load_profile
from deployments.sandbox.addresses import HARBOR, NODE_IP, RECEIVER_HOST
from deployments.sandbox.installation import RELEASE as NAMESPACE
from tests.bench.report import Figure, show
from tests.sandbox.conftest import Sandbox, open_sandbox
from tests.sandbox.followed import followed_tag
from tests.sandbox.runs import Run, Runs, open_runs

HUB, FOLLOWS_A_TAG = "sandbox-iav-v1", "sandbox"
ROUNDS = 3
DUPLICATES, FORGED, REFUSED, AT_ONCE = 1000, 200, 300, 25
HUBS, END = 50, 10
MANY_SECONDS = 1800.0
BEGIN_SECONDS = 120.0
DELIVERY_SECONDS = 30.0
ANSWERED_MS = 1000.0
"""In this time 99 of a hundred deliveries are to be answered."""
CONNECTIONS = 0.5
"""Of the connections that PostgreSQL takes, so many may be in use."""
LOOK_SECONDS = 0.1
QUERY_SECONDS = 30
UNBOUND = float("inf")


@dataclass(frozen=True)
class Delivered:
    """How deliveries were answered: milliseconds and status of each."""

    latencies: Sequence[float]
    statuses: Sequence[int]

    def percentile(self, number: int) -> float:
        """So many of a hundred were answered in this many milliseconds."""
        return quantiles(self.latencies, n=100)[number - 1]

    @property
    def taken(self) -> int:
        return sum(200 <= status < 300 for status in self.statuses)

    @property
    def late(self) -> int:
        return self.statuses.count(503)


def pool(sandbox: Sandbox) -> Iterator[Figure]:
    """All of it. The hubs are those of the sandbox, which are deployed and stay as they are."""
    with open_runs(sandbox) as runs:
        yield _pods(sandbox, runs)
        yield _webhook(sandbox, runs)
        yield from _floods(sandbox, runs)
        yield from _many(sandbox, runs)


def _pods(sandbox: Sandbox, runs: Runs) -> Figure:
    """A look at a hub by a pod of its own, and the same look by a process that is started for it, in turns."""
    pods, shells = list[float](), list[float]()
    for number in range(ROUNDS):
        print(f"converge in a pod and in a process, round {number + 1} of {ROUNDS}", flush=True)
        began = time.monotonic()
        sandbox.python("flows", "converge", HUB).done()
        shells.append(time.monotonic() - began)
        ended = runs.end(runs.start(f"converge/{HUB}"))
        _require_completed(ended)
        pods.append(_moment(ended["end_time"]) - _moment(ended["created"]))
    return Figure.ratio("converge: made to ended, in a pod beside a process", "s", median(pods), median(shells), 4.0)


def _webhook(sandbox: Sandbox, runs: Runs) -> Figure:
    """From a push that ended to the run that it leads to, and from a request for a run; both until it runs."""
    hub, told, asked = load_profile(FOLLOWS_A_TAG), list[float](), list[float]()
    deployment = f"deploy/{FOLLOWS_A_TAG}"
    with followed_tag(sandbox, hub) as tag:
        for push in (tag.move, tag.move_back):
            print("a run by hand, and one by a push", flush=True)
            asked.append(_until_it_runs(runs, runs.start(deployment, plan_only=True), time.time()))
            known = {run["id"] for run in runs.of(deployment)}
            push()
            pushed = time.time()
            told.append(_until_it_runs(runs, _run_of_push(runs, deployment, known), pushed))
    return Figure.ratio("push to run begun, beside one by hand", "s", median(told), median(asked), 1.5)


def _run_of_push(runs: Runs, deployment: str, known: set[str]) -> str:
    deadline = time.monotonic() + BEGIN_SECONDS
    while not (made := [run["id"] for run in runs.of(deployment) if run["id"] not in known]):
        assert time.monotonic() < deadline, "the push led to no run"
        time.sleep(LOOK_SECONDS)
    return str(made[0])


def _until_it_runs(runs: Runs, run: str, since: float) -> float:
    """Seconds from a moment until the run began; it has ended by now."""
    ended = runs.end(run)
    _require_completed(ended)
    return _moment(ended["start_time"]) - since


def _floods(sandbox: Sandbox, runs: Runs) -> Iterator[Figure]:
    """The event of a push that a run was made for, again and again; and from somebody who does not know the token."""
    print(f"{DUPLICATES} duplicates and {FORGED} forgeries through the Ingress", flush=True)
    token = sandbox.paths.harbor_webhook.read_text().strip()
    deployment = f"deploy/{FOLLOWS_A_TAG}"
    known = {run["id"] for run in runs.of(deployment)}
    refused = asyncio.run(_deliver(sandbox, REFUSED, token, "GET"))
    repeated = asyncio.run(_deliver(sandbox, DUPLICATES, token))
    # Harbor, too, comes back when it is told that nobody knows yet what came of an event.
    again = asyncio.run(_deliver(sandbox, repeated.late, token))
    forged = asyncio.run(_deliver(sandbox, FORGED, "forged"))
    made = sum(run["id"] not in known for run in runs.of(deployment))
    for number in (50, 99):
        base = refused.percentile(number)
        bound = ANSWERED_MS / base if number == 99 else UNBOUND
        name = f"a duplicate through the Ingress, percentile {number}, beside a GET"
        yield Figure.ratio(name, "ms", repeated.percentile(number), base, bound)
    taken = repeated.taken + again.taken
    yield Figure(f"duplicates taken, of {DUPLICATES}", "", taken, DUPLICATES, 1.0, taken == DUPLICATES)
    yield Figure(f"duplicates taken at the second try, of {DUPLICATES}", "", again.taken, 0, UNBOUND, passed=True)
    yield Figure(f"runs of {DUPLICATES} duplicates in the cluster", "", made, 1, 1.0, made <= 1)
    yield Figure(f"forgeries taken in the cluster, of {FORGED}", "", forged.taken, 0, 0.0, forged.taken == 0)


async def _deliver(sandbox: Sandbox, number: int, token: str, method: str = "POST") -> Delivered:
    """So many deliveries of one event, some at once, each sender by a connection that is there already."""
    verify = ssl.create_default_context(cafile=sandbox.paths.ca)
    headers, event = {"Host": RECEIVER_HOST, "Authorization": token}, _event()
    latencies, statuses, left = list[float](), list[int](), iter(range(number))
    url, timeout = f"https://{NODE_IP}/harbor", DELIVERY_SECONDS

    async def send() -> None:
        async with httpx.AsyncClient(verify=verify, timeout=timeout, trust_env=False, headers=headers) as client:
            await client.get(url)
            for _ in left:
                began = time.perf_counter()
                answer = await client.request(method, url, json=event)
                latencies.append((time.perf_counter() - began) * 1000)
                statuses.append(answer.status_code)

    await asyncio.gather(*[send() for _ in range(AT_ONCE)])
    return Delivered(latencies, statuses)


def _event() -> dict[str, Any]:
    """A push of the image that the demo's hub follows, as Harbor tells it in its format Default."""
    hub = load_profile(FOLLOWS_A_TAG)
    path = hub.image.name.partition("/")[2]
    namespace, _, name = path.partition("/")
    image = {"digest": f"sha256:{'0' * 64}", "tag": hub.image.tag, "resource_url": f"{HARBOR}/{path}:{hub.image.tag}"}
    repository = {"name": name, "namespace": namespace, "repo_full_name": path, "repo_type": "private"}
    data = {"resources": [image], "repository": repository}
    return {"type": "PUSH_ARTIFACT", "occur_at": int(time.time()), "operator": "somebody", "event_data": data}


def _many(sandbox: Sandbox, runs: Runs) -> Iterator[Figure]:
    """As many looks at once as for 50 hubs at night: the pool takes them in turns."""
    print(f"{HUBS} runs of converge at once", flush=True)
    before = _database(sandbox)
    began = time.monotonic()
    started = [runs.start(f"converge/{HUB}") for _ in range(HUBS)]
    ended = [runs.end(run, MANY_SECONDS) for run in started]
    each = (time.monotonic() - began) / HUBS
    after = _database(sandbox)
    done = sorted((run for run in ended if run["state"]["type"] == "COMPLETED"), key=lambda run: run["start_time"])
    took = [_moment(run["end_time"]) - _taken_at(runs, run) for run in done]
    yield Figure(f"runs that completed, of {HUBS} at once", "", len(done), HUBS, 1.0, len(done) == HUBS)
    yield Figure.ratio(f"the last {END} of {HUBS} beside the first", "s", median(took[-END:]), median(took[:END]), 1.25)
    yield Figure.ratio(f"each of {HUBS}, {HUBS} at once, beside how long one takes", "s", each, median(took), 1.0)
    deadlocks = after["deadlocks"] - before["deadlocks"]
    yield Figure(f"PostgreSQL's deadlocks in {HUBS} runs", "", deadlocks, before["deadlocks"], 0.0, deadlocks == 0)
    of = after["max_connections"]
    yield Figure.ratio("PostgreSQL's connections, of those that it takes", "", after["connections"], of, CONNECTIONS)


def _taken_at(runs: Runs, run: Run) -> float:
    """When a worker took the run."""
    return min(_moment(state["timestamp"]) for state in runs.history(run["id"]) if state["type"] != "SCHEDULED")


def _database(sandbox: Sandbox) -> dict[str, int]:
    query = (
        "select deadlocks, (select count(*) from pg_stat_activity where datname = current_database()), "
        "current_setting('max_connections') from pg_stat_database where datname = current_database()"
    )
    argv = ["psql", "--username", "prefect", "--dbname", "prefect", "--no-align", "--tuples-only", "--command", query]
    said = sandbox.kubernetes.run("postgresql-0", NAMESPACE, "postgresql", argv, QUERY_SECONDS)
    numbers = map(int, said.strip().split("|"))
    return dict(zip(("deadlocks", "connections", "max_connections"), numbers, strict=True))


def _require_completed(run: Run) -> None:
    state = run["state"]
    assert state["type"] == "COMPLETED", f"run {run['name']} ended {state['name']}: {state['message']}"


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def main() -> int:
    """Returns 0 when every target is met."""
    return show(list(pool(open_sandbox())))


if __name__ == "__main__":
    sys.exit(main())
