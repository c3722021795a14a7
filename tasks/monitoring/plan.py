"""Phase monitoring, what should be there: pure, from the spec and whether the cluster has the Prometheus Operator."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, assert_never

from config.spec import Hub, Monitoring
from tasks.core.objects import CONFIG_MAP, Access, Kind, WantedObject, no_longer_wanted
from tasks.monitoring.dashboard import SCRAPE_INTERVAL, as_json, dashboard_for

SERVICE_MONITOR = Kind("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors")
MONITOR = "hubwright-metrics"
DASHBOARD = "hubwright-dashboard"


class Operator(StrEnum):
    """Whether the cluster has the Prometheus Operator, which collects what a ServiceMonitor says."""

    PRESENT = "present"
    ABSENT = "absent"


@dataclass(frozen=True)
class TokenRef:
    """Where the token is that may read the hub's metrics: a key of a Secret in the hub's namespace."""

    secret: str
    key: str


def wanted_objects(hub: Hub, token: TokenRef, operator: Operator) -> tuple[WantedObject, ...]:
    """What Prometheus and Grafana need to know of the hub; nothing when the profile wants no monitoring."""
    if hub.monitoring is None:
        return ()
    dashboard = _dashboard(hub, hub.monitoring)
    match operator:
        case Operator.PRESENT:
            return dashboard, _service_monitor(hub, hub.monitoring, token)
        case Operator.ABSENT:
            return (dashboard,)
        case _:
            assert_never(operator)


def left_behind(present: Hub, back: Hub, token: TokenRef) -> tuple[str, ...]:
    """What the present profile has of this phase, and nothing refers to once another one is back."""
    wanted = [wanted_objects(hub, token, Operator.PRESENT) for hub in (present, back)]
    return no_longer_wanted(*wanted)


def permissions(hub: Hub, operator: Operator) -> tuple[Access, ...]:
    """Everything that the account needs for this phase."""
    if hub.monitoring is None:
        return ()
    kinds = (CONFIG_MAP, SERVICE_MONITOR) if operator is Operator.PRESENT else (CONFIG_MAP,)
    return tuple(Access(verb, kind, hub.cluster.namespace) for kind in kinds for verb in ("create", "get", "patch"))


def _dashboard(hub: Hub, monitoring: Monitoring) -> WantedObject:
    fields = {
        "metadata": {"labels": {monitoring.dashboard_label: "1"}},
        "data": {f"{hub.name}.json": as_json(dashboard_for(hub))},
    }
    return WantedObject(CONFIG_MAP, DASHBOARD, hub.cluster.namespace, fields)


def _service_monitor(hub: Hub, monitoring: Monitoring, token: TokenRef) -> WantedObject:
    """Tells the operator to have /hub/metrics collected, as a service of the hub that may do nothing else.

    JupyterHub 5.5 answers it only to scope read:metrics (jupyterhub/utils.py), and takes "Bearer" as it takes
    "token" (handlers/base.py). What is left out is the operator's default: job is the Service's name, the
    namespace is ours, the scheme is http. (Prometheus Operator, API reference, ServiceMonitorSpec and Endpoint)
    """
    endpoint: dict[str, Any] = {
        "port": "hub",
        "path": "/hub/metrics",
        "interval": SCRAPE_INTERVAL,
        "authorization": {"type": "Bearer", "credentials": {"name": token.secret, "key": token.key}},
    }
    # The chart's Service "hub" (4.4.0, templates/hub/service.yaml). Its label app is the chart's name, which an
    # archive of another name changes; these two find it in any case.
    service = {"component": "hub", "release": hub.release.name}
    fields: dict[str, Any] = {"spec": {"selector": {"matchLabels": service}, "endpoints": [endpoint]}}
    if monitoring.labels:  # the API server keeps no empty mapping, so one would be missing for ever
        fields["metadata"] = {"labels": dict(monitoring.labels)}
    return WantedObject(SERVICE_MONITOR, MONITOR, hub.cluster.namespace, fields)
