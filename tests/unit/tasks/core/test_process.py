"""The one door for subprocesses, with real ones: input, time, order, and how they end."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from tasks.core.errors import Permanent, Transient
from tasks.core.process import LAST_LINES, run

pytestmark = pytest.mark.processes

MORE_THAN_A_PIPE_HOLDS = "x" * 300_000
SLEEPING = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"


def _python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-S", "-c", code, *arguments]


def test_input_larger_than_a_pipe_arrives_whole() -> None:
    output = run(
        _python("import sys; print(len(sys.stdin.read()))"), timeout=10, remedy="", stdin=MORE_THAN_A_PIPE_HOLDS
    )
    assert output.stdout == "300000\n"


def test_a_command_may_end_without_reading_its_input() -> None:
    assert run(["true"], timeout=10, remedy="", stdin=MORE_THAN_A_PIPE_HOLDS).stdout == ""
    with pytest.raises(Permanent, match="exit code 1: no output"):
        run(["false"], timeout=10, remedy="", stdin=MORE_THAN_A_PIPE_HOLDS)


def test_a_command_that_never_reads_its_input_is_held_to_its_time(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(Transient, match=r"did not end within 0\.3 s"):
        run(_python(SLEEPING, str(tmp_path / "pid")), timeout=0.3, remedy="", stdin=MORE_THAN_A_PIPE_HOLDS)
    assert time.monotonic() - started < 10


def test_a_command_out_of_time_runs_no_more(tmp_path: Path) -> None:
    with pytest.raises(Transient) as error:
        run(_python(SLEEPING, str(tmp_path / "pid")), timeout=0.5, remedy="give it more time")
    assert error.value.remedy == "give it more time"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_lines_come_in_order_and_without_their_ends() -> None:
    lines: list[str] = []
    run(_python("for n in range(200): print(n)"), timeout=10, remedy="", on_line=lines.append)
    assert lines == [str(number) for number in range(200)]


def test_only_the_last_lines_of_a_failure_are_told() -> None:
    code = "import sys\nfor n in range(40): print(f'line {n}.', file=sys.stderr)\nsys.exit(7)"
    with pytest.raises(Permanent) as error:
        run(_python(code), timeout=10, remedy="look")
    assert f"exit code 7: line {40 - LAST_LINES}." in error.value.answered
    assert "line 39." in error.value.answered
    assert f"line {39 - LAST_LINES}." not in error.value.answered


def test_the_environment_is_the_one_given_and_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEAKED", "yes")
    code = "import os; print(os.environ.get('LEAKED'), os.environ.get('GIVEN'), os.getcwd())"
    output = run(_python(code), timeout=10, remedy="", env={"GIVEN": "1"}, cwd=tmp_path)
    assert output.stdout == f"None 1 {tmp_path.resolve()}\n"


def test_what_is_no_utf_8_does_not_end_the_reading() -> None:
    code = r"import sys; sys.stdout.buffer.write(b'a\xffb\n')"
    assert run(_python(code), timeout=10, remedy="").stdout == "a�b\n"
