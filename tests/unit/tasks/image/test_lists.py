"""Lists of packages: what they may say, and by what they are known."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from config.image import Build
from tasks.core.errors import Permanent
from tasks.image.lists import PackageList, read_debian_list, read_lists


def _build(folder: Path, text: str = "pandas>=2\n", **fields: object) -> Build:
    (folder / "lists").mkdir(exist_ok=True)
    (folder / "lists" / "debian.txt").write_text("git\n# an editor\nnano\n")
    (folder / "lists" / "cuda.txt").write_text("cupy-cuda12x\n")
    file = folder / "team.txt"
    file.write_text(text)
    given = {
        "base": "r.io/base:v1",
        "context": str(folder),
        "lists": (str(file),),
        "locks": str(folder / "locks"),
        **fields,
    }
    return Build.model_validate(given)


def test_comments_and_blank_lines_say_nothing(tmp_path: Path) -> None:
    text = "# our team's\n\npandas>=2  # for tables\n  scipy\n"
    assert read_lists(_build(tmp_path, text)) == (PackageList("team", ("pandas>=2", "scipy")),)


def test_own_packages_come_last_and_cuda_only_where_it_is_wanted(tmp_path: Path) -> None:
    names = [one.name for one in read_lists(_build(tmp_path, packages=("polars>=1",), cuda=True))]
    assert names == ["team", "cuda", "own"]


def test_debian_packages_are_those_of_the_context_and_of_the_profile(tmp_path: Path) -> None:
    assert read_debian_list(_build(tmp_path, debian_packages=("graphviz",))).requirements == ("git", "graphviz", "nano")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pandas\n--index-url=https://x\n", r"team\.txt:2: '--index-url=https://x' is no requirement"),
        ("-e .\n", r"team\.txt:1: '-e \.' is no requirement"),
        ("tool @ https://x/tool.whl\n", r"team\.txt:1: tool is named by an address"),
        ("pandas\n\nPandas>=2\n", r"team\.txt:3: pandas stands in line 1 too"),
    ],
)
def test_what_is_no_list_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Permanent, match=said):
        read_lists(_build(tmp_path, text))


def test_a_list_that_is_not_there_is_a_mistake_of_the_profile(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match=r"image\.build\.lists"):
        read_lists(_build(tmp_path, lists=(str(tmp_path / "none.txt"),)))


def test_a_list_is_known_by_what_it_asks_for(tmp_path: Path) -> None:
    [one] = read_lists(_build(tmp_path, "pandas>=2\nscipy\n"))
    [same] = read_lists(_build(tmp_path, "scipy  # first\n\npandas>=2\n"))
    [other] = read_lists(_build(tmp_path, "pandas>=3\nscipy\n"))
    assert one.hash == same.hash != other.hash


def test_a_list_that_is_no_text_is_told(tmp_path: Path) -> None:
    build = _build(tmp_path)
    (tmp_path / "team.txt").write_bytes(b"pandas\xff\n")
    with pytest.raises(Permanent, match="read the list"):
        read_lists(build)


def test_a_package_that_the_profile_names_twice_is_told(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match=r"image\.build\.packages:2: polars stands in line 1 too"):
        read_lists(_build(tmp_path, packages=("polars", "Polars>=1")))


@pytest.mark.parametrize("line", ["nano=7.2-1", "nano/bookworm", "--allow-downgrades", "git nano", "Nano", "nano-"])
def test_a_line_that_apt_would_take_for_more_than_a_name_is_told(tmp_path: Path, line: str) -> None:
    build = _build(tmp_path)
    (tmp_path / "lists" / "debian.txt").write_text(f"git\n{line}\n")
    with pytest.raises(Permanent, match=r"debian\.txt:2: .* is no name of a package"):
        read_debian_list(build)


def test_a_context_without_a_debian_list_asks_for_what_the_profile_does(tmp_path: Path) -> None:
    build = _build(tmp_path, debian_packages=("graphviz", "git"))
    (tmp_path / "lists" / "debian.txt").unlink()
    assert read_debian_list(build) == PackageList("debian", ("git", "graphviz"))


def test_the_cuda_list_of_a_context_that_has_none_is_missed_only_where_it_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    build, wanted = _build(tmp_path), _build(tmp_path, cuda=True)
    (tmp_path / "lists" / "cuda.txt").unlink()
    assert [one.name for one in read_lists(build)] == ["team"]
    with pytest.raises(Permanent, match=r"cuda\.txt"):
        read_lists(wanted)


@pytest.mark.parametrize("locks", ["", "lists", "./lists/"])
def test_locks_are_never_written_over_lists(tmp_path: Path, locks: str) -> None:
    """A lock has the name of its list, so in one folder it would be the same file."""
    with pytest.raises(ValidationError, match="take another folder"):
        _build(tmp_path, locks=f"{tmp_path}/{locks}")


def test_names_are_canonical_and_without_extras() -> None:
    assert PackageList("team", ("Dask[dataframe]>=1", "ruamel.yaml")).names == ("dask", "ruamel-yaml")
