"""The installation file: what it says, and every mistake in it at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from config import profiles
from deployments.register.__main__ import Exit, declare_all, main
from deployments.register.installation import (
    VARIABLE,
    BadInstallation,
    hubs_of,
    installation_path,
    load_installation,
)

IMAGE = f"registry.example.com/platform/flows@sha256:{'a' * 64}"
GOOD = {
    "image": IMAGE,
    "hubs": ["thinkube", "iav-v1"],
    "pools": {"hubs": {"variables": {}}, "images": {}},
    "limits": {"hubs": 4, "images": None},
    "notify": "slack-webhook/operations",
    "url": "https://prefect.example.com",
}


def write(folder: Path, **changes: object) -> Path:
    path = folder / "installation.yaml"
    YAML(typ="safe").dump({**GOOD, **changes}, path)
    return path


def mistakes(path: Path) -> str:
    with pytest.raises(BadInstallation) as caught:
        load_installation(path)
    return str(caught.value)


def test_what_it_says_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(write(tmp_path)))
    installation = load_installation()
    assert installation.image == IMAGE
    assert installation.limits == {"hubs": 4, "images": None}
    assert [(profile, hub.name) for profile, hub in hubs_of(installation)] == [
        ("thinkube", "thinkube"),
        ("iav-v1", "iav-v1"),
    ]


def test_it_is_looked_for_where_it_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert installation_path() == Path("/etc/hubwright/installation.yaml")
    monkeypatch.setenv(VARIABLE, "/by/environment.yaml")
    assert installation_path() == Path("/by/environment.yaml")
    assert installation_path(Path("/given.yaml")) == Path("/given.yaml")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"image": "registry.example.com/flows:v1"},
            "image: 'registry.example.com/flows:v1': Value error, not by digest",
        ),
        ({"hubs": ["my-hub.yaml"]}, "hubs.0: 'my-hub.yaml': Value error, a path is of no use in another pod"),
        ({"hubs": ["thinkub"]}, "did you mean thinkube?"),
        ({"hubs": ["thinkube", "thinkube"]}, "hubs: thinkube is there more than once"),
        ({"hubs": "thinkube"}, "hubs: 'thinkube': Input should be a valid tuple"),
        ({"limits": {"hub": 4}}, "limits.hub: there is no such pool\n      name one of hubs, images"),
        ({"limits": {"hubs": -1}}, "limits.hubs: -1: Input should be greater than or equal to 0"),
        ({"notify": "operations"}, "notify: 'operations': String should match pattern"),
        ({"url": "prefect.example.com"}, "url: 'prefect.example.com': String should match pattern"),
        (
            {"notfy": ""},
            "notfy: there is no such key\n      take it out; there are image, hubs, pools, limits, notify, url",
        ),
    ],
)
def test_a_mistake_says_where_it_is_and_what_to_do(tmp_path: Path, changes: dict[str, object], told: str) -> None:
    assert told in mistakes(write(tmp_path, **changes))


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = mistakes(write(tmp_path, image="flows", hubs=["nobody", "thinkube"], notify=7))
    assert [word for word in ("image:", "hubs: nobody:", "notify:") if word in text] == [
        "image:",
        "hubs: nobody:",
        "notify:",
    ]


def test_a_mistake_in_a_profile_is_one_of_the_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.yaml").write_text("extends: thinkube\nname: broken\nschedules: {drift: often}\n")
    monkeypatch.setattr(profiles, "INSTALLED", tmp_path)
    assert "broken.yaml:3: schedules.drift" in mistakes(write(tmp_path, hubs=["broken"]))


@pytest.mark.parametrize("text", ["", "- a list\n", "image: [\n"])
def test_what_is_no_mapping_is_said_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "installation.yaml"
    path.write_text(text)
    assert str(path) in mistakes(path)


def test_the_command_tells_it_and_ends_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--installation", str(tmp_path / "none.yaml")]) is Exit.BAD_INPUT
    assert f"give its path in --installation, or in {VARIABLE}" in capsys.readouterr().err


def test_a_pool_that_flows_run_in_has_to_be_there(tmp_path: Path) -> None:
    installation = load_installation(write(tmp_path, pools={"hubs": {}}, limits={}))
    with pytest.raises(BadInstallation, match=r"pools.images: is missing: flows run in it"):
        declare_all(installation)
