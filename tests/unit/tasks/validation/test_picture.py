"""How large a picture may be, and what becomes of it; the browser itself is in tests/sandbox."""

from __future__ import annotations

import base64

import pytest

from tasks.core.errors import Permanent
from tasks.validation.picture import LARGEST_BYTES, STEPS, Picture, choose


@pytest.mark.parametrize(
    ("sizes", "kind", "asked"),
    [
        ([LARGEST_BYTES], "png", 1),
        ([LARGEST_BYTES + 1, LARGEST_BYTES], "jpeg", 2),
        ([LARGEST_BYTES * 9, LARGEST_BYTES * 3, LARGEST_BYTES * 2, 7], "jpeg", 4),
    ],
)
def test_the_best_picture_is_taken_that_is_small_enough(sizes: list[int], kind: str, asked: int) -> None:
    steps: list[tuple[str, int]] = []

    def capture(kind: str, quality: int) -> bytes:
        steps.append((kind, quality))
        return bytes(sizes[len(steps) - 1])

    picture = choose(capture)
    assert (picture.kind, len(picture.content)) == (kind, sizes[-1])
    assert steps == list(STEPS[:asked])


def test_none_is_kept_that_is_too_large() -> None:
    with pytest.raises(Permanent, match=f"even the smallest has {LARGEST_BYTES + 1} bytes"):
        choose(lambda _kind, _quality: bytes(LARGEST_BYTES + 1))


def test_a_picture_is_an_address_that_needs_no_server() -> None:
    url = Picture("jpeg", b"\xff\xd8picture").url
    head, _, content = url.partition(",")
    assert head == "data:image/jpeg;base64"
    assert base64.b64decode(content) == b"\xff\xd8picture"
