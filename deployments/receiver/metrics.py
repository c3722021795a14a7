"""What Prometheus is told of the receiver. Labels are few: the outcomes here, and the installation's hubs."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Outcome(StrEnum):
    """How a delivery ended, best first."""

    STARTED = "started"
    """It led to a run that was not there before."""
    KNOWN = "known"
    """The run of this push was there."""
    REPEATED = "repeated"
    """The same event led to a run before: nobody was asked."""
    LEFT = "left"
    """Harbor was asked, and there is nothing to deploy (yet)."""
    IGNORED = "ignored"
    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported"
    TOO_LARGE = "too large"
    UNAUTHORIZED = "unauthorized"
    FAILED = "failed"
    """Somebody has to change something first."""
    UNAVAILABLE = "unavailable"
    """Harbor or Prefect does not answer."""
    LATE = "late"
    """It takes longer than Harbor waits; the work goes on."""


class Metrics:
    """Counts in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._deliveries = Counter(
            "hubwright_receiver_deliveries", "Requests of Harbor's, by how they ended.", ["outcome"],
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "hubwright_receiver_delivery_seconds", "How long it took to answer one.", buckets=BUCKETS,
            registry=self._registry,
        )  # fmt: skip
        self._runs = Counter(
            "hubwright_receiver_runs_started", "Runs that were made, by hub.", ["hub"], registry=self._registry
        )
        for outcome in Outcome:
            self._deliveries.labels(outcome)

    def delivered(self, outcome: Outcome, seconds: float) -> None:
        """A delivery was answered."""
        self._deliveries.labels(outcome).inc()
        self._seconds.observe(seconds)

    def started(self, hub: str) -> None:
        """A run of a hub was made."""
        self._runs.labels(hub).inc()

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)
