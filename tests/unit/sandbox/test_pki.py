import ssl
from pathlib import Path

from cryptography import x509

from deployments.sandbox.paths import Paths
from deployments.sandbox.pki import SERVERS, USERS, ensure_keys


def test_keys_are_made_once_and_only_root_reads_them(tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path / "run")
    ensure_keys(paths)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    ensure_keys(paths)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    private = [*paths.pki.glob("*.key"), *paths.pki.glob("*.kubeconfig"), paths.kubeconfig]
    assert len(private) > len(SERVERS) + 2 * len(USERS) - 1
    assert {file.stat().st_mode & 0o777 for file in private} == {0o600}


def test_a_certificate_of_another_authority_is_replaced(tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path / "run")
    ensure_keys(paths)
    before = paths.certificate("registry").read_text()
    paths.key("ca").unlink()
    paths.ca.unlink()
    ensure_keys(paths)
    after = x509.load_pem_x509_certificate(paths.certificate("registry").read_bytes())
    assert paths.certificate("registry").read_text() != before
    after.verify_directly_issued_by(x509.load_pem_x509_certificate(paths.ca.read_bytes()))


def test_clients_accept_the_authority(tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path / "run")
    ensure_keys(paths)
    assert len(ssl.create_default_context(cafile=paths.ca).get_ca_certs()) == 1
