"""What a hub should be: every field of a profile, its meaning, its unit and an example.

The one place that says so. `python -m config.schema` writes it as a JSON Schema for editors.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from kubernetes.utils.quantity import parse_quantity
from pydantic import BaseModel, ConfigDict, Field, model_validator

from config.secrets import SecretRef
from config.types import (
    AbsolutePath,
    ChartRepository,
    DnsLabel,
    DnsSubdomain,
    Duration,
    ExtendedResource,
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
)


class Part(BaseModel):
    """A part of a hub: cannot be changed, and knows no key but its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Cluster(Part):
    """Where in Kubernetes the hub lives. Which cluster that is, the kubeconfig or the pod says."""

    namespace: DnsLabel = Field(description="Namespace of everything.", examples=["jupyterhub-test"])
    service_account: DnsSubdomain = Field(
        description="Service account that the hub's pod runs as.", examples=["jupyterhub-sa"]
    )


class Registry(Part):
    """The registry that holds the images, as seen from where flows run."""

    ca: str | None = Field(
        default=None,
        description="File with the CA that signed the registry's certificate; without it the system's.",
        examples=["/etc/ssl/certs/company-ca.crt"],
    )


class Image(Part):
    """The notebook image that users' servers run."""

    reference: ImageReference = Field(
        description="Image by tag or digest. A tag is looked up, and what runs is its digest.",
        examples=["registry.example.com/iav/base-notebook:v1"],
    )


class Identity(Part):
    """Who may sign in, by one password that all share."""

    kind: Literal["dummy", "shared-password"] = Field(
        description=(
            "dummy: JupyterHub's DummyAuthenticator, one password for everybody, admins too. "
            "shared-password: JupyterHub's SharedPasswordAuthenticator, admins have a password of their own."
        ),
        examples=["dummy"],
    )
    password: SecretRef = Field(description="The shared password (8 characters or more for shared-password).")
    admins: tuple[UserName, ...] = Field(default=(), description="Users who see the admin page.", examples=[["admin"]])
    admin_password: SecretRef | None = Field(
        default=None, description="The admins' own password (32 characters or more); for shared-password only."
    )

    @model_validator(mode="after")
    def _admin_password_where_it_works(self) -> Self:
        if self.kind == "dummy" and self.admin_password:
            raise ValueError("dummy knows one password only: leave admin_password out, or choose shared-password")
        if self.kind == "shared-password" and self.admins and not self.admin_password:
            raise ValueError("shared-password lets no admin in without admin_password: give one, or no admins")
        return self


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


class Share(Part):
    """How much of one resource a server gets."""

    guarantee: Quantity = Field(description="What the scheduler sets aside.", examples=["100m"])
    limit: Quantity = Field(description="What it can never exceed.", examples=["1"])

    @model_validator(mode="after")
    def _guarantee_within_limit(self) -> Self:
        if parse_quantity(self.limit) <= 0:
            raise ValueError("a server could not start with a limit of nothing")
        if parse_quantity(self.guarantee) > parse_quantity(self.limit):
            raise ValueError(f"guarantee {self.guarantee} is more than limit {self.limit}")
        return self


class Gpu(Part):
    """GPUs for a server, offered as a choice of its own while a node of the cluster has some."""

    resource: ExtendedResource = Field(
        default="nvidia.com/gpu", description="What the nodes' device plugin calls them.", examples=["nvidia.com/gpu"]
    )
    count: Annotated[int, Field(ge=1, le=16)] = Field(
        default=1, description="GPUs for each server that asks for them.", examples=[1]
    )


class Server(Part):
    """What one user's server gets."""

    cpu: Share = Field(description="CPU, in cores.")
    memory: Share = Field(description="Memory, in bytes.")
    gpu: Gpu | None = Field(
        default_factory=Gpu, description="The GPUs that users may choose, if nodes have any; null for never."
    )
    start_timeout: Duration = Field(default="5m", description="How long a server may take to start.", examples=["5m"])
    idle_timeout: Duration = Field(default="1h", description="A server idle for so long is stopped.", examples=["1h"])


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


class Hub(Part):
    """One hub, whole."""

    name: DnsLabel = Field(description="Name of the hub, as its profile's file.", examples=["iav-v1"])
    cluster: Cluster = Field(description="Where in Kubernetes it lives.")
    registry: Registry = Field(default_factory=Registry, description="The registry that holds the images.")
    image: Image = Field(description="The notebook image.")
    identity: Identity = Field(description="Who may sign in.")
    storage: Storage = Field(description="Its volumes.")
    server: Server = Field(description="CPU, memory and times of a user's server.")
    ingress: Ingress | None = Field(default=None, description="How the company's network reaches it.")
    release: Release = Field(description="Which chart is installed, and how.")
    monitoring: Monitoring | None = Field(
        default_factory=Monitoring, description="How Prometheus and Grafana find it; null for not at all."
    )
    checks: Checks = Field(default_factory=Checks, description="How the result is checked.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.ingress is None and self.checks.url is None:
            raise ValueError("nobody could reach the hub to check it: give ingress or checks.url")
        if self.checks.user in self.identity.admins:
            raise ValueError(f"checks.user {self.checks.user!r} must not be one of identity.admins")
        return self

    @property
    def url(self) -> str:
        """Where users and checks reach the hub, without a slash at its end."""
        if self.checks.url:
            return self.checks.url.rstrip("/")
        assert self.ingress
        return f"https://{self.ingress.host}"
