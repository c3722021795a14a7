"""Where the sandbox keeps its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deployments.sandbox.addresses import HARBOR, REGISTRY, RUN

CLONE = Path(__file__).resolve().parents[2]
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


@dataclass(frozen=True)
class Paths:
    """The files of the sandbox of one clone: what must outlive a reboot in ``state``, the rest in ``run``."""

    state: Path = CLONE / ".sandbox"
    run: Path = RUN

    @property
    def clone(self) -> Path:
        """The working copy that the state folder belongs to."""
        return self.state.parent

    @property
    def logs(self) -> Path:
        """One log for each part, and the audit log."""
        return self.state / "logs"

    @property
    def audit_log(self) -> Path:
        """What was asked of the API server: one JSON event on each line."""
        return self.logs / "audit.log"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.state / "pki"

    @property
    def ca(self) -> Path:
        """The certificate that every server of the sandbox is verified by."""
        return self.pki / "ca.crt"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, with its certificate in it."""
        return self.state / "kubeconfig"

    @property
    def config(self) -> Path:
        """What the parts are configured by; written anew by every ``up``."""
        return self.state / "config"

    @property
    def registry_certificates(self) -> Path:
        """What containerd and skopeo verify the registry by."""
        return self.config / "registries" / REGISTRY

    @property
    def harbor_certificates(self) -> Path:
        """What containerd and skopeo verify Harbor by."""
        return self.config / "registries" / HARBOR

    @property
    def programs(self) -> Path:
        """What the supervisor runs: one file for each part."""
        return self.config / "programs"

    @property
    def volumes(self) -> Path:
        """The cluster's persistent volumes."""
        return self.state / "volumes"

    @property
    def shared_password(self) -> Path:
        """The password that everybody signs in to the hub of ``sandbox-iav-v1`` with."""
        return self.state / "secrets" / "shared-password"

    @property
    def keycloak_admin(self) -> Path:
        """The password of Keycloak's first administrator, as whom the sandbox and tests set it up; no flow does."""
        return self.state / "secrets" / "keycloak-admin"

    @property
    def keycloak_deployer(self) -> Path:
        """The secret of the service account that Hubwright has in the realm."""
        return self.state / "secrets" / "keycloak-deployer"

    @property
    def keycloak_users(self) -> Path:
        """The password of each user in the realm."""
        return self.state / "secrets" / "keycloak-users"

    @property
    def harbor(self) -> Path:
        """What Harbor remembers, and the results of scans to come."""
        return self.state / "harbor"

    @property
    def harbor_admin(self) -> Path:
        """The password of Harbor's administrator. Operations have it; no flow does."""
        return self.state / "secrets" / "harbor-admin"

    @property
    def harbor_deployer(self) -> Path:
        """The password of the user that Hubwright is in Harbor."""
        return self.state / "secrets" / "harbor-deployer"

    @property
    def harbor_webhook(self) -> Path:
        """What Harbor sends to the receiver of its webhooks, as the header Authorization."""
        return self.state / "secrets" / "harbor-webhook"

    @property
    def prefect_password(self) -> Path:
        """The password of Prefect's API and UI."""
        return self.state / "secrets" / "prefect"

    @property
    def database_password(self) -> Path:
        """The password of Prefect's database."""
        return self.state / "secrets" / "postgresql"

    @property
    def drawn(self) -> tuple[Path, ...]:
        """Every secret that is drawn at random."""
        return (
            self.shared_password,
            self.keycloak_admin,
            self.keycloak_deployer,
            self.keycloak_users,
            self.harbor_admin,
            self.harbor_deployer,
            self.harbor_webhook,
            self.prefect_password,
            self.database_password,
        )

    @property
    def supervisor_socket(self) -> Path:
        """Where the supervisor answers."""
        return self.run / "supervisor.sock"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd answers."""
        return self.run / "containerd.sock"

    @property
    def podman_socket(self) -> Path:
        """Where Podman answers, as a Docker daemon would."""
        return self.run / "podman.sock"

    @property
    def podman(self) -> Path:
        """What Podman keeps: images, and the layers that builds go on from."""
        return self.state / "podman"

    @property
    def owner(self) -> Path:
        """Which clone runs the sandbox of this machine."""
        return self.run / "owner.json"

    @property
    def lock(self) -> Path:
        """What a command holds while it works on the sandbox."""
        return self.run / "lock"

    @property
    def kernel_settings(self) -> Path:
        """How the kernel's settings were before the sandbox."""
        return self.run / "kernel.json"

    def log(self, part: str) -> Path:
        """The log of a part."""
        return self.logs / f"{part}.log"

    def kubeconfig_of(self, user: str) -> Path:
        """The kubeconfig of one part of the cluster."""
        return self.pki / f"{user}.kubeconfig"

    def certificate(self, name: str) -> Path:
        """A certificate."""
        return self.pki / f"{name}.crt"

    def key(self, name: str) -> Path:
        """The private key of a certificate."""
        return self.pki / f"{name}.key"


def write_if_changed(path: Path, text: str, mode: int = 0o644) -> bool:
    """The file holds the text, readable as ``mode`` says; returns whether it was written."""
    if path.exists() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.touch(mode)
    fresh.chmod(mode)
    fresh.write_text(text)
    fresh.replace(path)
    return True
