"""What a hub should be: every field of a profile, its meaning, its unit and an example.

The one place that says so. `python -m config.schema` writes it as a JSON Schema for editors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Self

from kubernetes.utils.quantity import parse_quantity
from pydantic import Field, model_validator

from config.identity import Identity, PasswordIdentity, Provider, Role
from config.image import Image
from config.operations import Approval, Schedules
from config.part import Part
from config.registry import Registry
from config.secrets import SecretRef
from config.server import OfferedImage, Server, Share
from config.types import (
    AbsolutePath,
    BrowserUrl,
    ChartRepository,
    DnsLabel,
    DnsSubdomain,
    Duration,
    HttpUrl,
    ImageReference,
    IPAddress,
    LabelKey,
    LabelValue,
    Quantity,
    ReleaseName,
    SemVer,
    Sha256,
    UserName,
    parse_duration,
    split_image,
)


class Cluster(Part):
    """Where in Kubernetes the hub lives. Which cluster that is, the kubeconfig or the pod says."""

    namespace: DnsLabel = Field(description="Namespace of everything.", examples=["jupyterhub-test"])
    service_account: DnsSubdomain = Field(
        description="Service account that the hub's pod runs as.", examples=["jupyterhub-sa"]
    )


class HomeStorage(Part):
    """A volume for each user, made when their first server starts, and never deleted."""

    size: Quantity = Field(description="Size of the volume, in bytes.", examples=["10Gi"])
    storage_class: DnsSubdomain | None = Field(
        default=None,
        description="StorageClass of the volumes; without it the cluster's default.",
        examples=["standard"],
    )
    mount: AbsolutePath = Field(
        default="/home/jovyan", description="Where a server sees it.", examples=["/home/jovyan"]
    )


class SharedStorage(Part):
    """One volume for all users, mounted by every server at once."""

    claim: DnsSubdomain = Field(description="Name of its claim.", examples=["jupyterhub-shared-home"])
    size: Quantity = Field(description="Size of the volume, in bytes.", examples=["50Gi"])
    storage_class: DnsSubdomain = Field(description="StorageClass; it must offer ReadWriteMany.", examples=["standard"])
    mount: AbsolutePath = Field(default="/shared", description="Where a server sees it.", examples=["/shared"])


class DatabaseStorage(Part):
    """The volume of the hub's own database (SQLite)."""

    size: Quantity = Field(description="Size of the volume, in bytes.", examples=["1Gi"])
    storage_class: DnsSubdomain | None = Field(
        default=None, description="StorageClass of the volume; without it the cluster's default.", examples=["standard"]
    )


class Storage(Part):
    """The volumes of a hub."""

    home: HomeStorage = Field(description="Each user's own volume.")
    shared: SharedStorage | None = Field(default=None, description="The volume that all users share, if there is one.")
    database: DatabaseStorage = Field(
        default_factory=lambda: DatabaseStorage(size="1Gi"), description="The volume of the hub's database."
    )


class Ingress(Part):
    """How the company's network reaches the hub."""

    host: DnsSubdomain = Field(description="Host name.", examples=["jupyterhub-test.example.internal"])
    ingress_class: DnsSubdomain = Field(description="IngressClass of the cluster.", examples=["nginx"])
    tls_secret: DnsSubdomain = Field(
        description="TLS Secret for the host, which operations create beforehand.", examples=["jupyterhub-tls"]
    )


class Monitoring(Part):
    """How Prometheus and Grafana find the hub. Without the Prometheus Operator, only the dashboard is made."""

    namespace: DnsLabel = Field(
        default="monitoring",
        description="Namespace that Prometheus runs in; the hub's NetworkPolicy lets it in.",
        examples=["monitoring"],
    )
    labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict[str, str],
        description="Labels that the operator's serviceMonitorSelector wants.",
        examples=[{"release": "kube-prometheus-stack"}],
    )
    dashboard_label: LabelKey = Field(
        default="grafana_dashboard",
        description="Label, of value 1, by which Grafana's sidecar finds dashboards.",
        examples=["grafana_dashboard"],
    )


class Chart(Part):
    """The Helm chart, pinned. Give either a repository or an archive."""

    repository: ChartRepository | None = Field(
        default=None, description="Helm repository or OCI registry.", examples=["https://hub.jupyter.org/helm-chart/"]
    )
    path: str | None = Field(
        default=None,
        description="Path of a chart's archive or folder where flows run.",
        examples=["charts/jupyterhub.tgz"],
    )
    name: DnsLabel = Field(default="jupyterhub", description="Name in the repository.", examples=["jupyterhub"])
    version: SemVer = Field(description="Version, in full.", examples=["4.4.0"])
    ca: str | None = Field(
        default=None,
        description="File with the CA that signed the repository's certificate; without it the system's.",
        examples=["/etc/ssl/certs/company-ca.crt"],
    )
    digest: Sha256 | None = Field(
        default=None,
        description="Digest of the archive. Without it, that of the archive found is recorded.",
        examples=["sha256:" + "0" * 64],
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.repository is None) == (self.path is None):
            raise ValueError("a chart comes from one place: give either repository or path")
        return self


class SystemImages(Part):
    """Images of the hub's own pods, for clusters that cannot reach those named in the chart."""

    hub: ImageReference | None = Field(
        default=None, description="Image of the hub.", examples=["registry.example.com/jupyterhub/k8s-hub:4.4.0"]
    )
    proxy: ImageReference | None = Field(
        default=None,
        description="Image of the proxy.",
        examples=["registry.example.com/jupyterhub/configurable-http-proxy:5"],
    )


class Release(Part):
    """The Helm release."""

    name: ReleaseName = Field(default="jupyterhub", description="Name of the release.", examples=["jupyterhub"])
    chart: Chart = Field(description="The chart.")
    images: SystemImages = Field(default_factory=SystemImages, description="Images of the hub's own pods.")
    node_port: Annotated[int, Field(ge=30000, le=32767)] | None = Field(
        default=None, description="Port on every node that reaches the hub too, over plain HTTP.", examples=[30080]
    )
    timeout: Duration = Field(default="10m", description="How long Helm waits for the pods.", examples=["10m"])
    notice: Duration | None = Field(
        default="2m",
        description="How long users are told on the hub's pages before the proxy restarts, which closes their"
        " notebooks' connections for some seconds; null for not at all.",
        examples=["2m"],
    )


class Account(Part):
    """Somebody whom the identity provider knows already, and as whom Hubwright checks. Hubwright makes no users."""

    user: UserName = Field(description="The user's name.", examples=["hubwright-check-admin"])
    password: SecretRef = Field(description="The user's password.")


class Checks(Part):
    """How the result is checked, as a user would."""

    url: HttpUrl | None = Field(
        default=None,
        description="Address of the hub for the checks; without it https and the Ingress host.",
        examples=["https://jupyterhub-test.example.internal"],
    )
    ca: str | None = Field(
        default=None,
        description="File with the CA that signed the hub's certificate; without it the system's.",
        examples=["/etc/ssl/certs/company-ca.crt"],
    )
    address: IPAddress | None = Field(
        default=None,
        description="IP address to connect to where the name service does not know the host yet; its name is verified.",
        examples=["192.0.2.10"],
    )
    user: UserName = Field(
        default="hubwright-check", description="A user of Hubwright's own, no admin.", examples=["hubwright-check"]
    )
    password: SecretRef | None = Field(
        default=None, description="That user's password, where an identity provider asks for it."
    )
    admin: Account | None = Field(
        default=None, description="Somebody with a role of an admin; without it the admin page is not looked at."
    )
    outsider: Account | None = Field(
        default=None, description="Somebody without any role; without it nobody checks that such people stay out."
    )
    browser: BrowserUrl | None = Field(
        default=None,
        description="Address of a Chromium's DevTools (its remote debugging port), by which the checks take a picture"
        " of JupyterLab; without it, there is none.",
        examples=["http://localhost:9222"],
    )


class Hub(Part):
    """One hub, whole."""

    name: DnsLabel = Field(description="Name of the hub, as its profile's file.", examples=["iav-v1"])
    cluster: Cluster = Field(description="Where in Kubernetes it lives.")
    registry: Registry = Field(default_factory=Registry, description="The registry that holds the images.")
    image: Image = Field(description="The notebook image.")
    images: dict[DnsLabel, OfferedImage] = Field(
        default_factory=dict[str, OfferedImage], description="More images, which roles may offer.", examples=[{}]
    )
    identity: Identity = Field(description="Who may sign in.")
    storage: Storage = Field(description="Its volumes.")
    server: Server = Field(description="CPU, memory and times of a user's server.")
    ingress: Ingress | None = Field(default=None, description="How the company's network reaches it.")
    release: Release = Field(description="Which chart is installed, and how.")
    monitoring: Monitoring | None = Field(
        default_factory=Monitoring, description="How Prometheus and Grafana find it; null for not at all."
    )
    checks: Checks = Field(default_factory=Checks, description="How the result is checked.")
    schedules: Schedules = Field(default_factory=Schedules, description="When its flows run by themselves.")
    approval: Approval | None = Field(
        default=None, description="Somebody approves each deploy's plan beforehand; without it, nobody is asked."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.ingress is None and self.checks.url is None:
            raise ValueError("nobody could reach the hub to check it: give ingress or checks.url")
        self._check_build()
        if isinstance(self.identity, PasswordIdentity):
            self._check_password_accounts(self.identity)
        else:
            self._check_provider_accounts(self.identity)
        return self

    def _check_build(self) -> None:
        if self.image.build is None:
            return
        if self.registry.harbor is None:
            raise ValueError("image.build needs registry.harbor: a robot of Harbor's pushes what was built")
        repository, tag = split_image(self.image.reference)[1:3]
        if tag is None:
            raise ValueError("image.build needs image.reference by a tag: the digest is what a build makes")
        if "/" not in repository:
            raise ValueError(f"image.reference needs a project of Harbor's before {repository}")

    def _check_password_accounts(self, identity: PasswordIdentity) -> None:
        if self.checks.user in identity.admins:
            raise ValueError(f"checks.user {self.checks.user!r} must not be one of identity.admins")
        for name in ("password", "admin", "outsider"):
            if getattr(self.checks, name):
                raise ValueError(f"checks.{name} is for an identity provider: {identity.kind} has one password for all")

    def _check_provider_accounts(self, identity: Provider) -> None:
        if self.checks.password is None:
            raise ValueError(f"identity.kind {identity.kind} needs checks.password: Hubwright signs in as checks.user")
        for name, role in identity.roles.items():
            unknown = [image for image in role.images if image not in self.images]
            if unknown:
                raise ValueError(f"identity.roles.{name} offers {', '.join(unknown)}, which images does not have")
            if role.gpus and self.server.gpu is None:
                raise ValueError(f"identity.roles.{name} offers GPUs, and server.gpu says never")

    @property
    def url(self) -> str:
        """Where users and checks reach the hub, without a slash at its end."""
        if self.checks.url:
            return self.checks.url.rstrip("/")
        assert self.ingress
        return f"https://{self.ingress.host}"

    @property
    def callback(self) -> str:
        """Where a provider sends people back to with a code."""
        return f"{self.url}/hub/oauth_callback"

    @property
    def signed_out(self) -> str:
        """Where a provider sends people back to who signed out."""
        return f"{self.url}/hub/login"

    @property
    def roles(self) -> dict[str, Role]:
        """The roles of the hub's users; none where everybody may do the same."""
        return {} if isinstance(self.identity, PasswordIdentity) else self.identity.roles

    @property
    def allowances(self) -> dict[str, Allowance]:
        """What each role allows, whole; ``everybody`` where there are no roles."""
        return {name: self._allowance(role) for name, role in self.roles.items()} or {
            EVERYBODY: self._allowance(Role())
        }

    def allowance_for(self, roles: Iterable[str]) -> Allowance | None:
        """What somebody with these roles may have: the most of each thing; None for somebody who has none of ours."""
        mine = [self.allowances[role] for role in roles if role in self.allowances]
        if not mine:
            return None
        return Allowance(
            cpu=_most([one.cpu for one in mine]),
            memory=_most([one.memory for one in mine]),
            gpus=max(one.gpus for one in mine),
            home=max((one.home for one in mine), key=parse_quantity),
            idle_timeout=max(one.idle_timeout for one in mine),
            images=tuple(sorted({image for one in mine for image in one.images})),
        )

    def _allowance(self, role: Role) -> Allowance:
        own = self.server.gpu.count if self.server.gpu else 0
        return Allowance(
            cpu=role.cpu or self.server.cpu,
            memory=role.memory or self.server.memory,
            gpus=(own if role.gpus is None else role.gpus) if self.server.gpu else 0,
            home=role.home or self.storage.home.size,
            idle_timeout=parse_duration(role.idle_timeout or self.server.idle_timeout),
            images=role.images,
        )


def _most(shares: Iterable[Share]) -> Share:
    found = tuple(shares)
    return Share(
        guarantee=max((share.guarantee for share in found), key=parse_quantity),
        limit=max((share.limit for share in found), key=parse_quantity),
    )


EVERYBODY = "everybody"
"""The one role of a hub without roles."""


@dataclass(frozen=True)
class Allowance:
    """What one role lets a user have, with nothing left out."""

    cpu: Share
    memory: Share
    gpus: int
    """The most GPUs of one server."""
    home: str
    """Size of a home volume when it is made, as Kubernetes writes it."""
    idle_timeout: timedelta
    images: tuple[str, ...]
    """Keys of the hub's ``images``."""
