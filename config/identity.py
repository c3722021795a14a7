"""Who may sign in to a hub, and what each of them may use."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from config.part import Part
from config.secrets import SecretRef
from config.server import Share
from config.types import DnsLabel, Duration, HttpUrl, IPAddress, Quantity, UserName

ClientId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$", max_length=255)]
"""A client's name at an identity provider."""

ClaimName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][-:/.A-Za-z0-9_]*$", max_length=255)]
"""A claim of userinfo."""

GroupName = Annotated[str, StringConstraints(pattern=r"^\S(.*\S)?$", max_length=255)]
"""A group's name; in Keycloak, a slash in front of each part of a path like /teams/data."""


class PasswordIdentity(Part):
    """Who knows one password that all share may sign in."""

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


class Role(Part):
    """What people with one role may do and use. What is left out is as ``server`` and ``storage.home`` say.

    Who has several roles has the most of each thing.
    """

    groups: tuple[GroupName, ...] = Field(
        default=(),
        description="Groups whose members have this role (kind keycloak); they are made where they are missing.",
        examples=[["hub-users"]],
    )
    admin: bool = Field(default=False, description="Whether they see the admin page.", examples=[True])
    cpu: Share | None = Field(default=None, description="CPU of their servers, in cores.")
    memory: Share | None = Field(default=None, description="Memory of their servers, in bytes.")
    gpus: Annotated[int, Field(ge=0, le=16)] | None = Field(
        default=None, description="GPUs that they may choose for a server; 0 for none.", examples=[1]
    )
    home: Quantity | None = Field(
        default=None, description="Size of a home volume when it is made, in bytes.", examples=["50Gi"]
    )
    idle_timeout: Duration | None = Field(
        default=None, description="Their server is stopped when idle for so long.", examples=["8h"]
    )
    images: tuple[DnsLabel, ...] = Field(
        default=(), description="Images that they may choose beside the hub's own: keys of images.", examples=[["cuda"]]
    )


class OidcIdentity(Part):
    """People sign in at an OpenID Connect provider that somebody else configures."""

    kind: Literal["oidc"] = Field(description="Any OpenID Connect provider, used as it is.", examples=["oidc"])
    issuer: HttpUrl = Field(
        description="The provider's issuer, as browsers, flows and the hub's pod all reach it.",
        examples=["https://login.example.com/realms/company"],
    )
    ca: str | None = Field(
        default=None,
        description="File with the CA that signed the provider's certificate; without it the system's.",
        examples=["/etc/ssl/certs/company-ca.crt"],
    )
    address: IPAddress | None = Field(
        default=None,
        description="IP address where flows and checks reach it while the name service does not know it.",
        examples=["192.0.2.11"],
    )
    client_id: ClientId = Field(default="jupyterhub", description="The hub's client.", examples=["jupyterhub"])
    client_secret: SecretRef = Field(description="The client's secret.")
    username_claim: ClaimName = Field(
        default="preferred_username", description="Claim with a user's name.", examples=["preferred_username"]
    )
    roles_claim: ClaimName = Field(
        default="hub_roles", description="Claim with the list of a user's roles.", examples=["groups"]
    )
    roles: dict[DnsLabel, Role] = Field(
        min_length=1, description="The roles that let people in, and what each allows.", examples=[{"user": {}}]
    )

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the hub asks for (OpenID Connect Core 1.0, section 5.4)."""
        return ("openid", "profile", "email")

    @model_validator(mode="after")
    def _groups_are_keycloaks(self) -> Self:
        named = [name for name, role in self.roles.items() if role.groups]
        if named:
            raise ValueError(f"only kind keycloak maps groups to roles: leave groups of {', '.join(named)} out")
        return self


class Deployer(Part):
    """The service account by which Hubwright configures Keycloak; never an administrator's."""

    client_id: ClientId = Field(default="hubwright", description="Its client.", examples=["hubwright"])
    client_secret: SecretRef = Field(description="Its client's secret.")


class KeycloakIdentity(Part):
    """People sign in at a Keycloak, whose client, roles and groups Hubwright configures."""

    kind: Literal["keycloak"] = Field(description="Keycloak, configured by Hubwright.", examples=["keycloak"])
    issuer: HttpUrl = Field(
        description="The realm's issuer, as browsers, flows and the hub's pod all reach it.",
        examples=["https://keycloak.example.com/realms/thinkube"],
    )
    ca: str | None = Field(
        default=None,
        description="File with the CA that signed Keycloak's certificate; without it the system's.",
        examples=["/etc/ssl/certs/company-ca.crt"],
    )
    address: IPAddress | None = Field(
        default=None,
        description="IP address where flows and checks reach it while the name service does not know it.",
        examples=["192.0.2.11"],
    )
    client_id: ClientId = Field(default="jupyterhub", description="The hub's client.", examples=["jupyterhub"])
    deployer: Deployer = Field(description="The service account that configures the client.")
    roles: dict[DnsLabel, Role] = Field(
        min_length=1, description="Client roles that let people in, and what each allows.", examples=[{"user": {}}]
    )

    @model_validator(mode="after")
    def _issuer_is_a_realm(self) -> Self:
        if "/realms/" not in self.issuer:
            raise ValueError("Keycloak's issuer ends in /realms/ and the name of the realm")
        return self

    @property
    def username_claim(self) -> str:
        """The claim with a user's name, as Keycloak's scope ``profile`` sends it."""
        return "preferred_username"

    @property
    def roles_claim(self) -> str:
        """The claim in which Hubwright has Keycloak send a user's client roles."""
        return "hub_roles"

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the hub asks for: mappers of the client itself send all else."""
        return ("openid",)

    @property
    def realm(self) -> str:
        """The realm's name."""
        return self.issuer.rstrip("/").rpartition("/realms/")[2]

    @property
    def server(self) -> str:
        """Keycloak's address, without a slash at its end."""
        return self.issuer.rpartition("/realms/")[0]


Provider = OidcIdentity | KeycloakIdentity
"""Sign-in at an OpenID Connect provider, whoever configures it."""

Identity = Annotated[PasswordIdentity | OidcIdentity | KeycloakIdentity, Field(discriminator="kind")]
"""Every way of signing in."""
