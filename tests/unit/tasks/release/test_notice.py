"""What the hub's pages tell users before the proxy restarts, by the snippet as the hub runs it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.core.names import NOTICE_KEY
from tasks.release.notice import FOLDER, notice_values, wanted_notice

SOON = timedelta(minutes=5)


def notice_in_hub(file: Path) -> Any:
    """What a template of the hub's has as its announcement; the file is where the test says."""
    code = notice_values()["extraConfig"]["hubwright-notice"]
    scope: dict[str, Any] = {"c": SimpleNamespace(JupyterHub=SimpleNamespace())}
    exec(compile(code, "notice", "exec"), scope)  # noqa: S102
    assert scope["notice_file"] == str(FOLDER / NOTICE_KEY)
    scope["notice_file"] = str(file)
    return scope["c"].JupyterHub.template_vars["announcement"]


def written(file: Path, end: datetime) -> Path:
    file.write_text(wanted_notice("n", end).fields["data"][NOTICE_KEY])
    return file


def test_users_are_told_until_the_time_that_was_named(tmp_path: Path) -> None:
    notice = notice_in_hub(written(tmp_path / "notice", datetime.now(UTC) + SOON))
    assert "Your notebooks go on" in str(notice)
    assert notice
    written(tmp_path / "notice", datetime.now(UTC) - SOON)
    assert not notice
    assert str(notice) == ""


@pytest.mark.parametrize("text", ["", "garbled", "2026-01-01T00:00:00\nno zone", "\n\n"])
def test_nothing_is_told_where_nothing_is_meant_to_be(tmp_path: Path, text: str) -> None:
    notice = notice_in_hub(tmp_path / "notice")
    assert not notice
    (tmp_path / "notice").write_text(text)
    assert not notice


def test_words_are_text_and_no_markup(tmp_path: Path) -> None:
    end = (datetime.now(UTC) + SOON).isoformat()
    (tmp_path / "notice").write_text(f"{end}\n<script>alert(1)</script>\n")
    notice = notice_in_hub(tmp_path / "notice")
    assert notice.__html__() == "&lt;script&gt;alert(1)&lt;/script&gt;"


def test_the_volume_is_optional_so_that_a_hub_starts_without_a_notice() -> None:
    [volume] = notice_values()["extraVolumes"]
    assert volume["configMap"]["optional"] is True
