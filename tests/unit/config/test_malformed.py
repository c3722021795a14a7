"""Profiles that are wrong in ways a generator seldom finds: what YAML allows, and secrets in the wrong place."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.profiles import BadProfile, load_profile


def _mistakes(folder: Path, text: str) -> list[str]:
    path = folder / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadProfile) as error:
        load_profile(str(path))
    return str(error.value).replace(f"{folder}/", "").splitlines()


def _nested(opening: str, closing: str, depth: int) -> str:
    return f"extends: iav-v1\nserver: {opening * depth}1{closing * depth}\n"


@pytest.mark.parametrize("depth", [50, 150, 250, 400])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_nesting_of_any_depth_is_a_mistake_and_no_traceback(
    tmp_path: Path, opening: str, closing: str, depth: int
) -> None:
    assert _mistakes(tmp_path, _nested(opening, closing, depth))[0].startswith("bad.yaml:")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("extends: iav-v1\nserver: &a {cpu: *a}\n", "bad.yaml:2: server.cpu: is missing"),
        ("extends: iav-v1\na: *b\n", "bad.yaml:2: is not YAML: found undefined alias 'b'"),
        ("extends: iav-v1\nserver: {<<: 1}\n", "bad.yaml:2: is not YAML: expected a mapping"),
        ("extends: iav-v1\nname: !mine x\n", "bad.yaml:2: name: found TaggedScalar"),
        ("extends: iav-v1\nname: 2001-01-01\n", "bad.yaml:2: name: found datetime.date(2001, 1, 1)"),
        ("extends: iav-v1\nname: 2001-99-99\n", "bad.yaml: is not YAML: month must be in 1..12"),
        ("extends: iav-v1\n1: 2\n", "bad.yaml:2: 1: found 1: Keys should be strings"),
        ("extends: iav-v1\n? [a, b]\n: 2\n", "Keys should be strings"),
        ("a: 1\n---\nb: 2\n", "bad.yaml:2: is not YAML: but found another document"),
        ("a:\n\tb: 1\n", "bad.yaml:2: is not YAML: found character"),
        ('extends: "a\\0.yaml"\n', "null byte"),
        ("!!set {a, b}\n", "bad.yaml:1: must be a mapping of keys"),
        (f"extends: iav-v1\nrelease: {{node_port: {'9' * 5000}}}\n", "is not YAML"),
    ],
)
def test_what_yaml_allows_and_a_profile_does_not(tmp_path: Path, text: str, said: str) -> None:
    assert said in "\n".join(_mistakes(tmp_path, text))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("identity: {password: hunter2}", "bad.yaml:2: identity.password: found (hidden): "),
        ("identity: {password: {env: hunter2!}}", "bad.yaml:2: identity.password.env: found (hidden): "),
        ("identity: {password: {prefect_block: hunter2!}}", "identity.password.prefect_block: found (hidden): "),
        ("identity: {admin_password: [hunter2]}", "bad.yaml:2: identity.admin_password: found (hidden): "),
        ("identity: {password: {value: hunter2}}", "identity.password.value: there is no such key; known are env, "),
        ("identity: {passwort: hunter2}", "there is no such key; did you mean password?"),
        ("identity:\n  password: hunter2\n  password: hunter2", "bad.yaml:4: is not YAML: this key is there twice"),
    ],
)
def test_a_password_in_the_wrong_place_is_not_told_on(tmp_path: Path, lines: str, said: str) -> None:
    text = "\n".join(_mistakes(tmp_path, f"extends: iav-v1\n{lines}\n"))
    assert said in text
    assert "hunter2" not in text


def test_each_profile_of_a_chain_changes_the_one_before_and_mistakes_name_their_own_file(tmp_path: Path) -> None:
    (tmp_path / "company.yaml").write_text("extends: iav-v1\nserver: {cpu: {limit: '2'}}\nrelease: {timeout: 1 day}\n")
    (tmp_path / "team.yaml").write_text("extends: company.yaml\nname: team\nrelease: {timeout: 20m}\n")
    hub = load_profile(str(tmp_path / "team.yaml"))
    assert (hub.name, hub.server.cpu.limit, hub.server.cpu.guarantee) == ("team", "2", "100m")
    assert hub.release.timeout == "20m"
    (tmp_path / "team.yaml").write_text("extends: company.yaml\nname: TEAM\n")
    with pytest.raises(BadProfile) as error:
        load_profile(str(tmp_path / "team.yaml"))
    assert [(Path(m.file).name, m.line, m.key) for m in error.value.mistakes] == [
        ("team.yaml", 2, "name"),
        ("company.yaml", 3, "release.timeout"),
    ]
