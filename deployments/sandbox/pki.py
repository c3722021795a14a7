"""The sandbox's own certificate authority: certificates for its servers and parts, and their kubeconfigs."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deployments.sandbox.addresses import (
    API,
    API_SERVICE_IP,
    CLUSTER_DOMAIN,
    HARBOR_HOST,
    HOSTS_DOMAIN,
    KEYCLOAK_HOST,
    NAME,
    NODE_IP,
)
from deployments.sandbox.paths import PRIVATE_FILE, Paths, write_if_changed

CA_LIFETIME = timedelta(days=3650)
LIFETIME = timedelta(days=365)
RENEWED_BEFORE = timedelta(days=30)
CLOCK_SKEW = timedelta(hours=1)

ADMINS = "system:masters"
"""Group that the API server lets do everything, without a binding."""
SERVICE_ACCOUNTS = "service-accounts"
CA = "ca"
FRONT_PROXY_CA = "front-proxy-ca"


@dataclass(frozen=True)
class Identity:
    """A certificate that we want: whose it is, and for a server, by what it is reached."""

    name: str
    common_name: str
    group: str = ""
    addresses: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    ca: str = CA


_API_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{CLUSTER_DOMAIN}")
SERVERS = (
    Identity("apiserver", "kube-apiserver", "", (NODE_IP, "127.0.0.1", API_SERVICE_IP), ("localhost", *_API_NAMES)),
    Identity("registry", "registry", "", (NODE_IP, "127.0.0.1"), ("localhost",)),
    Identity("ingress", "ingress", "", (NODE_IP,), (f"*.{HOSTS_DOMAIN}",)),
    Identity("keycloak", "keycloak", "", (NODE_IP,), (KEYCLOAK_HOST,)),
    Identity("harbor", "harbor", "", (NODE_IP,), (HARBOR_HOST,)),
    Identity("node", "node", "", (NODE_IP, "127.0.0.1"), ("localhost", NAME)),
)
USERS = (
    Identity("admin", "sandbox-admin", ADMINS),
    Identity("kube-controller-manager", "system:kube-controller-manager"),
    Identity("kube-scheduler", "system:kube-scheduler"),
    Identity("kubelet", f"system:node:{NAME}", "system:nodes"),
    Identity("kube-proxy", "system:kube-proxy"),
    Identity("coredns", "coredns", ADMINS),
    Identity("local-path-provisioner", "local-path-provisioner", ADMINS),
    Identity("traefik", "traefik", ADMINS),
)
OTHERS = (
    Identity("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ADMINS),
    Identity("front-proxy-client", "front-proxy-client", ca=FRONT_PROXY_CA),
)


def ensure_keys(paths: Paths) -> None:
    """Every key, certificate and kubeconfig is there and valid for 30 days more; those that were are untouched."""
    now = datetime.now(UTC)
    authorities = {name: _ensure_authority(paths, name, now) for name in (CA, FRONT_PROXY_CA)}
    for identity in (*SERVERS, *USERS, *OTHERS):
        _ensure_certificate(paths, identity, authorities[identity.ca], now)
    _ensure_key(paths, SERVICE_ACCOUNTS)
    for identity in USERS:
        target = paths.kubeconfig if identity.name == "admin" else paths.kubeconfig_of(identity.name)
        write_if_changed(target, _kubeconfig(paths, identity.name), PRIVATE_FILE)


@dataclass(frozen=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def _ensure_authority(paths: Paths, name: str, now: datetime) -> _Authority:
    key = _ensure_key(paths, name)
    certificate = _read_certificate(paths, name)
    if certificate is None or _expires_soon(certificate, now) or certificate.public_key() != key.public_key():
        subject = _subject(Identity(name, f"{NAME}-{name}"))
        builder = _builder(subject, subject, key.public_key(), now, CA_LIFETIME)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(authority=True), critical=True)
        certificate = _write_certificate(paths, name, builder.sign(key, hashes.SHA256()))
    return _Authority(certificate, key)


def _ensure_certificate(paths: Paths, identity: Identity, authority: _Authority, now: datetime) -> None:
    key = _ensure_key(paths, identity.name)
    seen = _read_certificate(paths, identity.name)
    if seen is not None and _is_current(seen, identity, key, authority, now):
        return
    builder = _builder(_subject(identity), authority.certificate.subject, key.public_key(), now, LIFETIME)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(authority=False), critical=True)
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages[: 2 if identity.addresses else 1]), critical=False)
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(issuer_key, critical=False)
    if identity.addresses:
        builder = builder.add_extension(_alternative_names(identity), critical=False)
    _write_certificate(paths, identity.name, builder.sign(authority.key, hashes.SHA256()))


def _is_current(
    seen: x509.Certificate,
    identity: Identity,
    key: ec.EllipticCurvePrivateKey,
    authority: _Authority,
    now: datetime,
) -> bool:
    """Whether a certificate is what we would issue today."""
    try:
        seen.verify_directly_issued_by(authority.certificate)
    except (InvalidSignature, ValueError):
        return False
    try:
        names = seen.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = None
    wanted = _alternative_names(identity) if identity.addresses else None
    same = seen.subject == _subject(identity) and names == wanted and seen.public_key() == key.public_key()
    return same and not _expires_soon(seen, now)


def _expires_soon(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_after_utc - now < RENEWED_BEFORE


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(identity: Identity) -> x509.Name:
    group = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.group)] if identity.group else []
    return x509.Name([*group, x509.NameAttribute(NameOID.COMMON_NAME, identity.common_name)])


def _alternative_names(identity: Identity) -> x509.SubjectAlternativeName:
    addresses = [x509.IPAddress(ip_address(address)) for address in identity.addresses]
    return x509.SubjectAlternativeName([*addresses, *(x509.DNSName(name) for name in identity.names)])


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _ensure_key(paths: Paths, name: str) -> ec.EllipticCurvePrivateKey:
    path = paths.key(name)
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key
    fresh = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.TraditionalOpenSSL
    pem = fresh.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    write_if_changed(path, pem.decode(), PRIVATE_FILE)
    return fresh


def _read_certificate(paths: Paths, name: str) -> x509.Certificate | None:
    path = paths.certificate(name)
    return x509.load_pem_x509_certificate(path.read_bytes()) if path.exists() else None


def _write_certificate(paths: Paths, name: str, certificate: x509.Certificate) -> x509.Certificate:
    write_if_changed(paths.certificate(name), certificate.public_bytes(serialization.Encoding.PEM).decode())
    return certificate


def _kubeconfig(paths: Paths, user: str) -> str:
    """A kubeconfig with everything in it, so that it may be copied elsewhere. JSON is YAML."""

    def data(kind: str, name: str) -> str:
        path = paths.key(name) if kind == "key" else paths.certificate(name)
        return base64.b64encode(path.read_bytes()).decode()

    credentials = {"client-certificate-data": data("crt", user), "client-key-data": data("key", user)}
    cluster = {"server": API, "certificate-authority-data": data("crt", CA)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": user}}],
        "current-context": NAME,
    }
    return json.dumps(document, indent=2) + "\n"
