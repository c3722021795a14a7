"""What the hub offers by role, and what it refuses."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Any

import pytest

from config.images import PinnedImages
from config.oidc import SignIn
from config.server import Gpu
from config.spec import Hub
from tasks.release.values import WantedValues, values_for
from tests.unit.tasks.release.in_hub import (
    CUDA,
    ENDPOINTS,
    IMAGE,
    Refused,
    Spawner,
    role_hub,
    role_values,
    run_snippets,
    user_with,
)


def _offered(monkeypatch: pytest.MonkeyPatch, *roles: str, gpu: Gpu | None = None) -> list[dict[str, Any]]:
    scope = run_snippets(role_values(gpu), monkeypatch)
    return asyncio.run(scope["c"].KubeSpawner.profile_list(Spawner(*roles)))


def test_a_user_is_offered_what_their_role_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    [standard] = _offered(monkeypatch, "user", "somebody-elses-group", gpu=Gpu())
    override = standard["kubespawner_override"]
    assert (override["cpu_limit"], override["mem_limit"], override["storage_capacity"]) == (1.0, 2**30, "10Gi")
    assert "--ServerApp.shutdown_no_activity_timeout=3600" in override["args"]
    assert "profile_options" not in standard


def test_of_several_roles_the_most_of_each_thing_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    standard, gpu = _offered(monkeypatch, "user", "admin", "gpu", gpu=Gpu())
    override = gpu["kubespawner_override"]
    assert (override["cpu_limit"], override["mem_limit"], override["storage_capacity"]) == (2.0, 2**31, "20Gi")
    assert override["extra_resource_limits"] == {"nvidia.com/gpu": "1"}
    assert "args" not in override  # the longest time of all is the culler's
    assert set(standard["profile_options"]["image"]["choices"]) == {"usual_image", "cuda"}
    choice = standard["profile_options"]["image"]["choices"]["cuda"]
    assert choice == {"display_name": "With CUDA", "kubespawner_override": {"image": str(CUDA)}}


def test_without_gpus_in_the_cluster_none_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [one["slug"] for one in _offered(monkeypatch, "gpu")] == ["standard"]
    assert [one["slug"] for one in _offered(monkeypatch, "gpu", gpu=Gpu())] == ["standard", "gpu"]


def test_gpus_are_offered_by_their_number_up_to_what_roles_and_nodes_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = role_hub().model_dump()
    whole["identity"]["roles"]["gpu"]["gpus"] = 4
    images = PinnedImages(IMAGE, None, None, {"cuda": CUDA})
    wanted = WantedValues(Hub.model_validate(whole), images, "mark", Gpu(count=2), SignIn(ENDPOINTS, "mark"))
    offered = run_snippets(values_for(wanted), monkeypatch)["profiles_of"](user_with("gpu"))
    limits = [one["kubespawner_override"].get("extra_resource_limits") for one in offered]
    assert [one["slug"] for one in offered] == ["standard", "gpu", "2-gpus"]
    assert limits == [None, {"nvidia.com/gpu": "1"}, {"nvidia.com/gpu": "2"}]
    assert [one["default"] for one in offered] == [True, False, False]


def test_numbers_that_helm_wrote_as_fractions_are_whole_again(monkeypatch: pytest.MonkeyPatch) -> None:
    values = role_values(Gpu())
    for offer in values["custom"]["hubwright"]["roles"].values():
        offer |= {"idleSeconds": float(offer["idleSeconds"]), "gpus": float(offer["gpus"])}
    offered = run_snippets(values, monkeypatch)["profiles_of"](user_with("gpu"))
    assert [one["slug"] for one in offered] == ["standard", "gpu"]
    assert "--MappingKernelManager.cull_idle_timeout=3600" in offered[0]["kubespawner_override"]["args"]


FORGED = [
    (("user",), {"profile": "gpu"}, 403),
    (("user",), {"profile": "hubwright-forged"}, 403),
    (("user",), {"profile": ["standard"]}, 403),
    (("user",), {"profile": {"a": 1}}, 403),
    (("user",), ["profile"], 400),
    (("user",), "gpu", 400),
    (("gpu",), {"profile": "2-gpus"}, 403),
    (("gpu",), {"profile": "gpu", "image": "theirs"}, 403),
    (("gpu",), {"image": "theirs"}, 403),
    (("gpu",), {"image": ["cuda"]}, 403),
    (("gpu",), {"profile": "gpu", "image--unlisted-choice": "r.test/theirs:v1"}, 403),
    ((), {}, 403),
]
OFFERED = [
    (("user",), {}),
    (("user",), {"profile": "standard", "mem_limit": "64G", "kubespawner_override": {"cpu_limit": 64}}),
    (("user",), {"profile": ""}),
    (("user",), {"image": "cuda"}),
    (("gpu",), {"profile": "gpu", "image": "cuda"}),
    (("gpu",), {"image": "usual_image"}),
]


@pytest.mark.parametrize(("roles", "posted", "status"), FORGED)
def test_what_no_role_offers_is_refused_by_each_way_in(
    monkeypatch: pytest.MonkeyPatch, roles: tuple[str, ...], posted: Any, status: int
) -> None:
    scope = run_snippets(role_values(Gpu()), monkeypatch)
    handler = scope["StartServer"](posted, *roles)
    with pytest.raises(Refused) as refused:
        asyncio.run(handler.post("bob"))
    assert (refused.value.status, handler.started) == (status, False)
    with pytest.raises(Refused):
        scope["c"].KubeSpawner.apply_user_options(Spawner(*roles), posted)
    if isinstance(posted, dict):
        with pytest.raises(Refused):
            scope["c"].JupyterHub.spawner_class(*roles)._options_from_form({key: [one] for key, one in posted.items()})


@pytest.mark.parametrize(("roles", "posted"), OFFERED)
def test_what_a_role_offers_goes_on_and_what_means_nothing_too(
    monkeypatch: pytest.MonkeyPatch, roles: tuple[str, ...], posted: Any
) -> None:
    scope = run_snippets(role_values(Gpu()), monkeypatch)
    handler = scope["StartServer"](posted, *roles)
    asyncio.run(handler.post("bob"))
    assert handler.started
    scope["c"].KubeSpawner.apply_user_options(Spawner(*roles), posted)
    form = {key: [one] for key, one in posted.items()}
    assert scope["c"].JupyterHub.spawner_class(*roles)._options_from_form(form) == posted


@pytest.mark.parametrize(
    ("before", "now", "started"),
    [(("user",), ("gpu",), True), (("gpu",), ("user",), False), (("gpu",), (), False), ((), ("gpu",), True)],
    ids=["given", "taken away", "all taken away", "given back"],
)
def test_a_start_by_the_api_goes_by_the_roles_of_now(
    monkeypatch: pytest.MonkeyPatch, before: tuple[str, ...], now: tuple[str, ...], *, started: bool
) -> None:
    handler = run_snippets(role_values(Gpu()), monkeypatch)["StartServer"]({"profile": "gpu"}, *before, now=now)
    with nullcontext() if started else pytest.raises(Refused):
        asyncio.run(handler.post("bob"))
    assert handler.started is started


def test_a_start_by_the_api_without_a_word_is_judged_when_it_is_known_what_was_wanted_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handler = run_snippets(role_values(), monkeypatch)["StartServer"](None, "user")
    asyncio.run(handler.post("bob"))
    assert handler.started


@pytest.mark.parametrize("roles", [(), ("somebody-elses-group",)])
def test_who_has_no_role_is_offered_nothing_and_not_the_charts_defaults(
    monkeypatch: pytest.MonkeyPatch, roles: tuple[str, ...]
) -> None:
    with pytest.raises(Refused, match="no role") as refused:
        _offered(monkeypatch, *roles)
    assert refused.value.status == 403


def test_where_no_role_applies_the_least_of_all_does() -> None:
    values = role_values()
    assert (values["singleuser"]["cpu"]["limit"], values["singleuser"]["memory"]["limit"]) == (1.0, 2**30)
    assert values["cull"]["timeout"] == 8 * 3600
