"""The dashboard: the same each time, of one hub only, and whole. That its metrics exist, the sandbox shows."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from config.profiles import load_profile
from config.spec import Hub
from tasks.monitoring.dashboard import as_json, dashboard_for, queries, uid_of

LONG = "a" * 62


def _document(hub: Hub) -> dict[str, Any]:
    return json.loads(as_json(dashboard_for(hub)))


def _panels() -> list[dict[str, Any]]:
    return [panel for panel in _document(load_profile("iav-v1"))["panels"] if panel["type"] != "row"]


def test_it_is_the_same_each_time_and_another_for_another_hub() -> None:
    hub = load_profile("iav-v1")
    assert as_json(dashboard_for(hub)) == as_json(dashboard_for(hub))
    assert as_json(dashboard_for(hub)) != as_json(dashboard_for(hub.model_copy(update={"name": "other"})))


def test_every_query_is_of_the_hubs_namespace_and_of_metrics_that_need_nothing_else_installed() -> None:
    found = queries(dashboard_for(load_profile("iav-v1")))
    assert len(found) == sum(len(panel["targets"]) for panel in _panels())
    for query in found:
        selectors = re.findall(r"([a-z_]+)\{([^}]*)\}", query)
        assert len(selectors) == query.count("{")
        for metric, labels in selectors:
            assert metric.startswith(("jupyterhub_", "container_", "kubelet_volume_stats_")), metric
            assert labels.split(", ")[0] == 'namespace="jupyterhub-test"'


@pytest.mark.parametrize("pair", ["()", "{}", "[]"])
def test_brackets_of_queries_pair_up(pair: str) -> None:
    for query in queries(dashboard_for(load_profile("iav-v1"))):
        assert query.count(pair[0]) == query.count(pair[1])
        assert "$hub" not in query


def test_each_panel_asks_the_data_source_that_the_reader_chose() -> None:
    [variable] = _document(load_profile("iav-v1"))["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    sources = [panel["datasource"] for panel in _panels()]
    assert sources == [{"type": "prometheus", "uid": f"${{{variable['name']}}}"}] * len(sources)


def test_panels_and_queries_have_names_of_their_own() -> None:
    document = _document(load_profile("iav-v1"))
    assert [panel["id"] for panel in document["panels"]] == list(range(1, len(document["panels"]) + 1))
    assert [panel["title"] for panel in document["panels"] if panel["type"] == "row"] == ["Activity", "Resources"]
    for panel in _panels():
        assert panel["description"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)


def test_panels_lie_side_by_side() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in _document(load_profile("iav-v1"))["panels"]:
        place = panel["gridPos"]
        columns, rows = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        cells = {(column, row) for column in columns for row in rows}
        assert max(columns) < 24
        assert not cells & taken
        taken |= cells


@pytest.mark.parametrize(
    ("title", "guarantee", "limit"),
    [("Memory of each user's server", 256 * 2**20, 2**30), ("CPU of each user's server", 0.1, 1)],
)
def test_servers_are_held_against_the_profiles_share(title: str, guarantee: float, limit: float) -> None:
    [panel] = [panel for panel in _panels() if panel["title"] == title]
    defaults = panel["fieldConfig"]["defaults"]
    assert [step["value"] for step in defaults["thresholds"]["steps"]] == [None, guarantee, limit]
    assert defaults["custom"] == {"axisSoftMax": limit, "thresholdsStyle": {"mode": "dashed"}}


@pytest.mark.parametrize(
    ("name", "uid"),
    [("iav-v1", "hubwright-iav-v1"), ("b" * 30, "hubwright-" + "b" * 30)],
)
def test_a_short_name_is_the_uid(name: str, uid: str) -> None:
    assert uid_of(name) == uid


def test_a_long_name_is_cut_and_still_its_own() -> None:
    uids = {uid_of(LONG + last) for last in "abc"}
    assert len(uids) == 3
    for uid in uids:
        assert len(uid) == 40
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", uid)
