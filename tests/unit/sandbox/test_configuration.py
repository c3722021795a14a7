import configparser
import json
import tomllib
from pathlib import Path

from deployments.sandbox.configuration import render_configuration
from deployments.sandbox.paths import Paths, write_if_changed
from deployments.sandbox.supervisor import Program, render_program, render_supervisord

PATHS = Paths(Path("/clone/.sandbox"), Path("/run/hubwright"))
KEPT_ON_THE_MACHINE = ("/usr/lib/cni",)


def test_every_file_can_be_parsed() -> None:
    files = render_configuration(PATHS)
    for name, text in files.items():
        match Path(name).suffix:
            case ".json" | ".conflist":
                json.loads(text)
            case ".toml":
                tomllib.loads(text)
            case _:
                assert text.endswith("\n")


def test_containerd_writes_only_below_our_folders() -> None:
    document = tomllib.loads(render_configuration(PATHS)["containerd.toml"])
    ours = (str(PATHS.state), str(PATHS.run), *KEPT_ON_THE_MACHINE)
    paths = [value for value in _texts(document) if value.startswith("/")]
    assert paths
    assert [path for path in paths if not path.startswith(ours)] == []


def test_pods_get_names_from_the_cluster_and_not_from_the_machine() -> None:
    files = render_configuration(PATHS)
    assert json.loads(files["kubelet.json"])["resolvConf"] == "/clone/.sandbox/config/resolv.conf"
    assert files["resolv.conf"] == "nameserver 10.51.0.2\n"


def test_the_supervisor_reads_a_program_as_it_was_meant() -> None:
    program = Program("part", ("run", "100% of it", 'say "so"'), {"HOME": "/a b%"}, "v1")
    parser = configparser.RawConfigParser()
    parser.read_string(render_supervisord(PATHS))
    parser.read_string(render_program(program, PATHS.log("part")))
    section = parser["program:part"]
    assert section["command"] == "run '100%% of it' 'say \"so\"'"
    assert section["environment"] == 'HOME="/a b%%",HUBWRIGHT_CONFIGURATION="v1"'
    assert section["autostart"] == "false"


def test_another_version_of_its_files_changes_a_program() -> None:
    one, two = (Program("part", ("run",), {}, version) for version in ("v1", "v2"))
    assert render_program(one, PATHS.log("part")) != render_program(two, PATHS.log("part"))


def test_a_file_is_written_once_and_private_from_the_start(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "key"
    assert write_if_changed(file, "secret", 0o600)
    assert not write_if_changed(file, "secret", 0o600)
    assert file.stat().st_mode & 0o777 == 0o600


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    return [value] if isinstance(value, str) else []
