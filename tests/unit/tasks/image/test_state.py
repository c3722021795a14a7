"""What a build says is heard step by step, whichever engine says it."""

from __future__ import annotations

import pytest

from tasks.image.state import LAST_LINES, BuildLog, Step, parse_step


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("STEP 1/4: FROM base", Step("FROM base", 0.0)),
        ("[2/4] STEP 2/4: RUN make", Step("RUN make", 0.3125)),
        ("Step 3/4 : COPY a b", Step("COPY a b", 0.5)),
        ("--> Using cache 0d9a71", None),
        ("a program that says STEP 1/2: nothing", None),
    ],
)
def test_a_step_is_known_by_podmans_words_and_by_dockers(line: str, step: Step | None) -> None:
    assert parse_step(line) == step


def test_the_last_words_are_those_of_the_step_that_failed() -> None:
    log = BuildLog()
    for line in ("STEP 1/2: FROM base", "fine", "STEP 2/2: RUN make", *(f"line {number}" for number in range(40))):
        log.hear(line)
    words = log.last_words.splitlines()
    assert words[0] == "at RUN make"
    assert [word.strip() for word in words[1:]] == [f"line {number}" for number in range(40 - LAST_LINES, 40)]
