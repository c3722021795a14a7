"""Where an object differs from the wanted one: what is compared, and how."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.core.differences import differences


@pytest.mark.parametrize(
    ("want", "have"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": {"b": []}}, {"a": {}}),
        ({"delay": 0, "on": False, "text": ""}, {}),
        ({"limits": {"cpu": 0.1, "memory": "1024Mi"}}, {"limits": {"cpu": "100m", "memory": "1Gi"}}),
        ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]}),
        ({"rules": [{"verbs": ["get"]}]}, {"rules": [{"verbs": ["get"], "more": None}]}),
        ({"args": ["a", "b"]}, {"args": ["a", "b"]}),
    ],
)
def test_what_is_as_wanted_gives_nothing(want: dict[str, Any], have: dict[str, Any]) -> None:
    assert list(differences(want, have)) == []


@pytest.mark.parametrize(
    ("want", "have", "found"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ("a.b", 2, 1)),
        ({"a": {"b": 1}}, {}, ("a", None, {"b": 1})),
        ({"replicas": 0}, {"replicas": 1}, ("replicas", 1, 0)),
        ({"args": ["a", "b"]}, {"args": ["b", "a"]}, ("args", ["b", "a"], ["a", "b"])),
        ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "value": "2"}]}, ("env[A].value", "2", "1")),
        ({"env": [{"name": "A"}]}, {"env": [{"name": "B"}]}, ("env[A]", None, {"name": "A"})),
        ({"rules": [{"verbs": ["get"]}]}, {"rules": [{"verbs": ["list"]}]}, ("rules[0].verbs", ["list"], ["get"])),
        ({"rules": []}, {"rules": [{}]}, ("rules", [{}], [])),
        (
            {"subjects": [{"name": "a"}]},
            {"subjects": [{"name": "a"}, {"name": "b"}]},
            ("subjects", [{"name": "a"}, {"name": "b"}], [{"name": "a"}]),
        ),
        ({"limits": {"cpu": 0.1}}, {"limits": {"cpu": "200m"}}, ("limits.cpu", "200m", 0.1)),
        ({"version": "1"}, {"version": "1.0"}, ("version", "1.0", "1")),
    ],
)
def test_each_leaf_that_differs_is_named(want: Any, have: Any, found: tuple[str, Any, Any]) -> None:
    assert list(differences(want, have)) == [found]
