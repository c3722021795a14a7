"""`make bench`: Hubwright beside the plain helm command, side by side in one run; a table, and build/bench.json."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from statistics import median

from tests.bench.hubs import Hubs, bench_hubs
from tests.bench.image import image
from tests.bench.measure import Measured, hubwright, plain_helm
from tests.bench.pool import pool
from tests.bench.realm import realm
from tests.bench.report import Figure, show

ROUNDS = 3
REQUESTS_NO_OP = 0.0
"""Writes of a second run, the fence aside: that is one of the things that are always true."""


def main() -> int:
    """Returns 0 when every target is met."""
    with bench_hubs() as hubs:
        figures = [
            *_first(hubs),
            *_no_op(hubs),
            *_change(hubs),
            *realm(hubs),
            *image(hubs.sandbox),
            *pool(hubs.sandbox),
        ]
    return show(figures)


def _first(hubs: Hubs) -> Iterator[Figure]:
    """A hub from nothing. Images are on the node for both."""
    print("first deploy", flush=True)
    theirs = plain_helm(hubs, hubs.prepare_helm())
    ours = hubwright(hubs)
    bound = 1.25 + 3 / theirs.seconds
    yield Figure.ratio("first deploy, checks apart", "s", ours.flow_seconds, theirs.seconds, bound)


def _no_op(hubs: Hubs) -> Iterator[Figure]:
    values = hubs.values()
    pairs: list[tuple[Measured, Measured]] = []
    for number in range(ROUNDS):
        print(f"no-op, round {number + 1} of {ROUNDS}", flush=True)
        pairs.append((hubwright(hubs), plain_helm(hubs, values)))
    ours, theirs = zip(*pairs, strict=True)

    def compare(name: str, unit: str, what: str, base: str, target: float) -> Figure:
        mine, others = (median(getattr(one, field) for one in runs) for field, runs in ((what, ours), (base, theirs)))
        return Figure.ratio(name, unit, mine, others, target)

    writes = max(one.writes for one in ours)
    yield Figure("no-op: write requests", "", writes, median(one.writes for one in theirs), REQUESTS_NO_OP, writes == 0)
    yield compare("no-op: flow run, sign-in apart", "s", "flow_seconds", "seconds", 1.0)
    yield compare("no-op: shell command, sign-in apart", "s", "shell_seconds", "seconds", 4.0)
    yield compare("no-op: CPU of the shell command", "s", "cpu_seconds", "cpu_seconds", 4.0)
    yield compare("no-op: peak memory", "MB", "memory", "memory", float("inf"))


def _change(hubs: Hubs) -> Iterator[Figure]:
    """One value that restarts the hub. The first round is the first change after an install."""
    ours: list[float] = []
    theirs: list[float] = []
    for hours in range(2, 2 + ROUNDS):
        print(f"a changed value, round {hours - 1} of {ROUNDS}", flush=True)
        hubs.change_idle_timeout(hours)
        ours.append(hubwright(hubs).flow_seconds)
        theirs.append(plain_helm(hubs, hubs.values()).seconds)
    yield Figure.ratio("one value changed, to healthy", "s", median(ours), median(theirs), 1.25)
    yield Figure.ratio("the first change beside later ones", "s", ours[0], median(ours[1:]), 1.25)


if __name__ == "__main__":
    sys.exit(main())
