"""When flows run by themselves, and profiles that an installation brings."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import profiles
from config.profiles import BadProfile, load_profile, profile_names


def _load(path: Path, text: str) -> str:
    path.write_text(f"extends: iav-v1\nname: own\n{text}")
    try:
        hub = load_profile(str(path))
    except BadProfile as error:
        return str(error).replace(f"{path.parent}/", "")
    return repr((hub.schedules.timezone, hub.schedules.drift, hub.approval))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("schedules: {timezone: Europe/Berlin}", "('Europe/Berlin', '0 4 * * *', None)"),
        ("schedules: {drift: null}", "('UTC', None, None)"),
        ("schedules: {drift: '*/15 8-18 * * 1-5'}", "('UTC', '*/15 8-18 * * 1-5', None)"),
        ("approval: {timeout: 1h}", "('UTC', '0 4 * * *', Approval(timeout='1h'))"),
    ],
)
def test_schedules_and_approval_are_taken_as_they_are(tmp_path: Path, text: str, found: str) -> None:
    assert _load(tmp_path / "own.yaml", text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("schedules: {timezone: Berlin}", "schedules.timezone: found 'Berlin': a time zone is a name"),
        ("schedules: {drift: '0 4 * *'}", "schedules.drift: found '0 4 * *': a cron line has five fields"),
        ("schedules: {drift: '0 0 3 * * *'}", "schedules.drift: found '0 0 3 * * *': a cron line has five fields"),
        ("schedules: {rebuild: '61 4 * * *'}", "schedules.rebuild: found '61 4 * * *': a cron line has five fields"),
        ("schedules: {robots: '0 0 31 2 *'}", "schedules.robots: found '0 0 31 2 *': there is no such day"),
        ("approval: {timeout: soon}", "approval.timeout: found 'soon'"),
    ],
)
def test_one_that_could_never_run_is_told(tmp_path: Path, text: str, found: str) -> None:
    assert _load(tmp_path / "own.yaml", text).startswith(f"own.yaml:3: {found}")


def test_profiles_that_an_installation_brings_are_known_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "INSTALLED", tmp_path)
    (tmp_path / "own.yaml").write_text("extends: iav-v1\nname: own\n")
    assert "own" in profile_names()
    assert load_profile("own").name == "own"


def test_one_that_extends_its_own_name_means_the_profile_that_comes_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "INSTALLED", tmp_path)
    (tmp_path / "iav-v1.yaml").write_text("extends: iav-v1\nschedules: {timezone: Europe/Berlin}\n")
    assert profile_names().count("iav-v1") == 1
    hub = load_profile("iav-v1")
    assert (hub.cluster.namespace, hub.schedules.timezone) == ("jupyterhub-test", "Europe/Berlin")
