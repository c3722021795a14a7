"""The Grafana dashboard of a hub: who uses it, how it answers, and what it takes of the cluster. Pure.

Its metrics are those of JupyterHub 5.5 (jupyterhub/metrics.py) and of every kubelet (/metrics/cadvisor, /metrics),
and no others. Limits come from the profile, since kube-prometheus-stack drops the kubelet's: by its value
kubelet.serviceMonitor.cAdvisorMetricRelabelings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import GraphThresholdsStyleMode, LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    DataSourceRef,
    Panel,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import Dataquery
from kubernetes.utils.quantity import parse_quantity

from config.server import Share
from config.spec import Hub

SCRAPE_INTERVAL = "30s"
SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
UID_CHARACTERS = 40
"""No uid may be longer. (Grafana's dashboard HTTP API)"""
DIGEST_CHARACTERS = 8
HEIGHT, HALF, THIRD = 8, 12, 8
"""In units of Grafana's grid, which is 24 wide."""


@dataclass(frozen=True)
class Graph:
    """A panel: what it shows, in which of Grafana's units, and its queries by what their series are called.

    ``$hub`` in a query is the selector of the hub's namespace. A pod that starts anew is a new series beside the
    old one, so every query takes their sum or the largest.
    """

    title: str
    about: str
    unit: str
    queries: Mapping[str, str]


RUNNING = "max(jupyterhub_running_servers{$hub})"
NOW = (
    Graph(
        "Active users",
        "Users who did something within that time; the hub counts once an hour.",
        "short",
        {"{{period}}": "max by (period) (jupyterhub_active_users{$hub})"},
    ),
    Graph("Running servers now", "Users' servers that run.", "short", {"servers": RUNNING}),
    Graph("Known users", "Everybody who ever signed in.", "short", {"users": "max(jupyterhub_total_users{$hub})"}),
)
ACTIVITY = (
    Graph("Running servers", "Users' servers that run.", "short", {"servers": RUNNING}),
    Graph(
        "Server starts by result",
        "Starts that ended within the past hour.",
        "short",
        {"{{status}}": "sum by (status) (increase(jupyterhub_server_spawn_duration_seconds_count{$hub}[1h]))"},
    ),
    Graph(
        "Time until a server is up",
        "Of the starts that succeeded within the past hour.",
        "s",
        {
            name: f"histogram_quantile({quantile}, sum by (le) (increase("
            'jupyterhub_server_spawn_duration_seconds_bucket{$hub, status="success"}[1h])))'
            for name, quantile in {"p50": 0.5, "p95": 0.95}.items()
        },
    ),
    Graph(
        "Requests to the hub",
        "By status code. Users' servers answer for themselves and are not among them.",
        "reqps",
        {"{{code}}": "sum by (code) (rate(jupyterhub_request_duration_seconds_count{$hub}[$__rate_interval]))"},
    ),
    Graph(
        "Time until the hub answers",
        "Without the progress of a server's start, which stays open until the server is up.",
        "s",
        {
            "p95": "histogram_quantile(0.95, sum by (le) (rate(jupyterhub_request_duration_seconds_bucket"
            '{$hub, handler!~".*SpawnProgressAPIHandler"}[$__rate_interval])))'
        },
    ),
    Graph(
        "What the hub waits for",
        "Its own event loop, late when the hub is busy (0.05 s is idle), and the proxy's list of routes.",
        "s",
        {
            name: f"histogram_quantile(0.95, sum by (le) (rate({metric}{{$hub}}[$__rate_interval])))"
            for name, metric in {
                "event loop p95": "jupyterhub_event_loop_interval_seconds_bucket",
                "proxy p95": "jupyterhub_proxy_poll_duration_seconds_bucket",
            }.items()
        },
    ),
    Graph(
        "Failures",
        "Within the past hour. All of them should be 0.",
        "short",
        {
            name: f"sum(increase({metric}[1h]))"
            for name, metric in {
                # JupyterHub 5.5 writes this one label as "ServerPollStatus.stopped": its Enum has no __str__.
                "server gone by itself": 'jupyterhub_server_poll_duration_seconds_count{$hub, status=~".*stopped"}',
                "server not stopped": 'jupyterhub_server_stop_seconds_count{$hub, status="failure"}',
                "route not added": 'jupyterhub_proxy_add_duration_seconds_count{$hub, status="failure"}',
                "route not deleted": 'jupyterhub_proxy_delete_duration_seconds_count{$hub, status="failure"}',
                "request answered with 5xx": 'jupyterhub_request_duration_seconds_count{$hub, code=~"5.."}',
            }.items()
        },
    ),
)

# The kubelet reports each pod and, unless it cannot tell them apart, each container; a Prometheus may drop the pods.
# With one container in a pod, the largest series of a pod is what it takes in any case.
MEMORY = 'max by (pod) (container_memory_working_set_bytes{$hub, pod=~"%s"})'
CPU = 'max by (pod) (rate(container_cpu_usage_seconds_total{$hub, pod=~"%s"}[$__rate_interval]))'
USERS = "jupyter-.+"
"""Pods of users' servers. (KubeSpawner 7.1, pod_name_template)"""
OURS = "(hub|proxy)-.+"
"""Pods of the chart. (4.4.0, templates/hub and templates/proxy)"""
CORES = "suffix: cores"

SERVER_MEMORY = Graph(
    "Memory of each user's server",
    "Dashed: what the profile guarantees, and where a server is ended. One that started earlier may have others.",
    "bytes",
    {"{{pod}}": MEMORY % USERS},
)
SERVER_CPU = Graph(
    "CPU of each user's server",
    "Dashed: what the profile guarantees, and where a server is held. One that started earlier may have others.",
    CORES,
    {"{{pod}}": CPU % USERS},
)
PARTS = (
    Graph("Memory of hub and proxy", "Each pod's working set.", "bytes", {"{{pod}}": MEMORY % OURS}),
    Graph("CPU of hub and proxy", "Cores that each pod uses.", CORES, {"{{pod}}": CPU % OURS}),
    Graph(
        "Volumes",
        "How full they are while a pod has them mounted. Empty for volumes that the kubelet cannot measure (hostPath).",
        "percentunit",
        {
            "{{persistentvolumeclaim}}": "max by (persistentvolumeclaim)"
            " (kubelet_volume_stats_used_bytes{$hub} / kubelet_volume_stats_capacity_bytes{$hub})"
        },
    ),
)


def dashboard_for(hub: Hub) -> Dashboard:
    """The dashboard of a hub: the same for the same hub, whenever it is made."""
    selector = f'namespace="{hub.cluster.namespace}"'
    source = builders.DatasourceVariable("source").label("Data source").type("prometheus")
    board = builders.Dashboard(f"JupyterHub {hub.name}").uid(uid_of(hub.name)).tags(["hubwright", "jupyterhub"])
    board.time("now-24h", "now").refresh("1m").tooltip(DashboardCursorSync.CROSSHAIR).with_variable(source)
    board.with_row(builders.Row("Activity"))
    for graph in NOW:
        board.with_panel(_number(graph, selector))
    for graph in ACTIVITY:
        board.with_panel(_lines(graph, selector))
    board.with_row(builders.Row("Resources"))
    most = hub.allowance_for(hub.allowances)
    assert most
    for graph, share in ((SERVER_MEMORY, most.memory), (SERVER_CPU, most.cpu)):
        board.with_panel(_against(_lines(graph, selector), share))
    for graph in PARTS:
        board.with_panel(_lines(graph, selector))
    built = board.build()
    for number, panel in enumerate(built.panels or (), 1):
        panel.id_val = number  # a link to a panel goes by its number
    return built


def as_json(board: Dashboard) -> str:
    """A dashboard as Grafana reads it."""
    return json.dumps(board, cls=JSONEncoder, sort_keys=True, indent=1)


def queries(board: Dashboard) -> tuple[str, ...]:
    """Every query of a dashboard, in PromQL."""
    targets = (target for panel in board.panels or () if isinstance(panel, Panel) for target in panel.targets or ())
    return tuple(target.expr for target in targets if isinstance(target, Dataquery))


def uid_of(name: str) -> str:
    """By which Grafana knows the dashboard of a hub, and links find it."""
    uid = f"hubwright-{name}"
    if len(uid) <= UID_CHARACTERS:
        return uid
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGEST_CHARACTERS]
    return f"{uid[: UID_CHARACTERS - DIGEST_CHARACTERS - 1]}-{digest}"


def _number(graph: Graph, selector: str) -> stat.Panel:
    panel = stat.Panel().title(graph.title).description(graph.about).unit(graph.unit).datasource(SOURCE)
    panel.targets([query.instant() for query in _targets(graph, selector)])
    return panel.span(THIRD).height(HEIGHT // 2)


def _lines(graph: Graph, selector: str) -> timeseries.Panel:
    legend = common_builders.VizLegendOptions().show_legend(True).placement(LegendPlacement.RIGHT)
    legend.display_mode(LegendDisplayMode.TABLE).calcs(["max", "lastNotNull"]).sort_by("Max").sort_desc(True)
    panel = timeseries.Panel().title(graph.title).description(graph.about).unit(graph.unit).datasource(SOURCE)
    panel.targets([query.range() for query in _targets(graph, selector)])
    return panel.min(0).legend(legend).span(HALF).height(HEIGHT)


def _targets(graph: Graph, selector: str) -> list[prometheus.Dataquery]:
    return [
        prometheus.Dataquery()
        .expr(query.replace("$hub", selector))
        .legend_format(name)
        .ref_id(letter)
        .interval(SCRAPE_INTERVAL)  # else $__rate_interval may hold one sample only
        for letter, (name, query) in zip(ascii_uppercase, graph.queries.items(), strict=False)
    ]


def _against(panel: timeseries.Panel, share: Share) -> timeseries.Panel:
    """Lines where a server's guarantee and its limit are, in sight even when nothing comes near them."""
    guarantee, limit = (float(parse_quantity(value)) for value in (share.guarantee, share.limit))
    steps = [Threshold(None, "green"), Threshold(guarantee, "orange"), Threshold(limit, "red")]
    panel.thresholds(builders.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    panel.thresholds_style(common_builders.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    return panel.axis_soft_max(limit)
