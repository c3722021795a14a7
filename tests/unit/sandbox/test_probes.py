from pathlib import Path

import pytest

from deployments.sandbox.probes import log_probe
from tasks.core.errors import Permanent
from tasks.core.wait import wait_until


def test_a_log_serves_only_after_its_last_beginning(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    probe = log_probe(log, "begins", "serves")
    assert probe()
    for text, healthy in (("begins\n", False), ("begins\nserves\n", True), ("begins\nserves\nbegins\n", False)):
        log.write_text(text)
        assert (not probe()) is healthy, text


def test_a_beginning_that_was_rotated_away_is_not_missed(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    log.write_text("later\n")
    (tmp_path / "part.log.1").write_text("much\n")
    assert log_probe(log, "begins", "serves")() == ""


def test_waiting_says_what_is_missing_and_ends() -> None:
    said: list[str] = []
    with pytest.raises(Permanent, match=r"part: serve: not within 0 s: no answer"):
        wait_until("part", "serve", lambda: "no answer", seconds=0, remedy="look", say=said.append)
    assert said == ["no answer"]
