import io
import threading
from pathlib import Path

import pytest
from rich.console import Console

from deployments.sandbox.jobs import Job, run_jobs
from deployments.sandbox.parts import all_parts
from deployments.sandbox.paths import Paths
from deployments.sandbox.progress import Step, Steps
from deployments.sandbox.supervisor import Supervisor
from deployments.sandbox.up import all_jobs

PATHS = Paths(Path("/clone/.sandbox"), Path("/run/hubwright"))


def steps_to(text: io.StringIO) -> Steps:
    return Steps(Console(file=text, width=120))


def test_a_job_starts_after_what_it_needs_and_beside_the_others() -> None:
    beside = threading.Barrier(2, timeout=5)
    order: list[str] = []
    jobs = [
        Job("one", (), lambda _step: order.append(f"one {beside.wait() >= 0}")),
        Job("two", (), lambda _step: order.append(f"two {beside.wait() >= 0}")),
        Job("last", ("one", "two"), lambda _step: order.append("last")),
    ]
    run_jobs(jobs, steps_to(io.StringIO()))
    assert order[-1] == "last"
    assert sorted(order) == ["last", "one True", "two True"]


def test_after_a_failure_nothing_more_is_started_and_the_failure_is_raised() -> None:
    started: list[str] = []

    def fail(_step: Step) -> None:
        raise ValueError("broken")

    jobs = [Job("bad", (), fail), Job("next", ("bad",), lambda step: started.append(step.name))]
    text = io.StringIO()
    with pytest.raises(ValueError, match="broken"):
        run_jobs(jobs, steps_to(text))
    assert started == []
    assert "bad" in text.getvalue()
    assert "failed" in text.getvalue()


def test_each_job_of_up_needs_only_jobs_that_stand_before_it() -> None:
    before: set[str] = set()
    for job in all_jobs(PATHS, Supervisor(PATHS)):
        assert before.issuperset(job.needs), job.name
        assert job.name not in before
        before.add(job.name)
    assert before.issuperset(part.name for part in all_parts(PATHS))


def test_no_secret_is_on_a_command_line() -> None:
    words = [word for part in all_parts(PATHS) for word in part.argv]
    assert not [word for word in words if "password" in word or "token=" in word]
