"""A certificate that is brought is refused with its file's name before any host is asked."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from changeover import inventory
from changeover.executors import provision
from changeover.executors.provision.brought import require_certificate

if TYPE_CHECKING:
    from changeover.inventory import Environment

CHECKOUT = Path(__file__).resolve().parents[4]
NAME = "nox.example.org"


@dataclass(frozen=True)
class Holder:
    """A key and its certificate, which may sign others."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, name: str, by: Self | None = None, *, days: int = 30, begun: int = 1) -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(by.certificate.subject if by else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=begun))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(by.key if by else key, hashes.SHA256())
        )
        return cls(key, made)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def private(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


ROOT = Holder.make("root")
BETWEEN = Holder.make("between", ROOT)
SITE = Holder.make(NAME, BETWEEN)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """Return the example environment, whose chain and key lie in the root's ``tls``."""
    return inventory.load("example", root=example(tmp_path))


def example(tmp_path: Path, **variables: object) -> Path:
    """Make a project of the example environment with a certificate, and return its root."""
    for name in ("playbooks", "roles", "templates", "apps", "ansible.cfg", "pyproject.toml"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    directory = tmp_path / "inventories/example"
    shutil.copytree(CHECKOUT / "inventories/example", directory)
    settings = directory / "group_vars/all/main.yml"
    document = yaml.safe_load(settings.read_text())
    (tmp_path / "tls").mkdir()
    document["changeover_tls"] = {
        "mode": "files",
        "certificate": "tls/chain.pem",
        "key": "tls/key.pem",
        "ca_certificate": "tls/root.pem",
    }
    settings.write_text(yaml.safe_dump(document | variables))
    bring(tmp_path, SITE.pem + BETWEEN.pem, SITE.private)
    return tmp_path


def bring(root: Path, chain: bytes, key: bytes, authority: Holder = ROOT) -> None:
    (root / "tls/chain.pem").write_bytes(chain)
    (root / "tls/key.pem").write_bytes(key)
    (root / "tls/root.pem").write_bytes(authority.pem)


def test_a_whole_chain_of_a_trusted_authority_is_accepted(environment: Environment) -> None:
    require_certificate(environment)


def test_a_name_of_an_app_that_does_not_live_here_needs_no_certificate(tmp_path: Path) -> None:
    root = example(tmp_path, changeover_public_names={"nox-api": NAME, "other": "other.example"})

    require_certificate(inventory.load("example", root=root))


EXPIRED = Holder.make(NAME, BETWEEN, days=-1, begun=90)
OTHER = Holder.make("shop.example.org", BETWEEN)
OLD_BETWEEN = Holder.make("old", ROOT, days=-1, begun=90)


@pytest.mark.parametrize(
    ("chain", "key", "said"),
    [
        (SITE.pem + BETWEEN.pem, OTHER.private, "key.pem is not the key of {tls}/chain.pem"),
        (EXPIRED.pem + BETWEEN.pem, EXPIRED.private, "chain.pem has expired on "),
        (OTHER.pem + BETWEEN.pem, OTHER.private, f"chain.pem is not for {NAME}; it is for shop"),
        (
            SITE.pem,
            SITE.private,
            "chain.pem lacks a certificate: {tls}/root.pem vouches for nobody",
        ),
        (
            SITE.pem + ROOT.pem,
            SITE.private,
            "chain.pem is out of order: CN=between has to come next, and it is CN=root",
        ),
        (BETWEEN.pem + SITE.pem, SITE.private, "key.pem is not the key of"),
        (
            (old := Holder.make(NAME, OLD_BETWEEN)).pem + OLD_BETWEEN.pem,
            old.private,
            "chain.pem has expired on ",
        ),
        (b"", SITE.private, "chain.pem is no chain of certificates"),
        (SITE.pem + BETWEEN.pem, b"", "key.pem is no private key without a passphrase"),
    ],
)
def test_what_clients_would_refuse_is_refused_with_the_file_named(
    environment: Environment, chain: bytes, key: bytes, said: str
) -> None:
    bring(environment.root, chain, key)

    with pytest.raises(provision.CertificateUnusable) as refused:
        require_certificate(environment)

    assert said.format(tls=f"{environment.root}/tls") in refused.value.message
    assert refused.value.message.startswith(f"{environment.root}/tls/")
    assert str(environment.directory / "group_vars/all/main.yml") in refused.value.hint
    assert refused.value.exit_code == 2


def test_a_file_that_is_not_there_is_named(environment: Environment) -> None:
    (environment.root / "tls/key.pem").unlink()

    with pytest.raises(provision.CertificateUnusable, match=r"tls/key\.pem does not exist"):
        require_certificate(environment)


def test_an_authority_that_clients_do_not_trust_is_refused(environment: Environment) -> None:
    bring(environment.root, SITE.pem + BETWEEN.pem, SITE.private, Holder.make("root"))

    with pytest.raises(provision.CertificateUnusable, match="vouches for nobody who issued it"):
        require_certificate(environment)


def test_no_host_is_asked_where_the_certificate_will_not_do(environment: Environment) -> None:
    bring(environment.root, OTHER.pem + BETWEEN.pem, OTHER.private)
    events: list[object] = []

    with pytest.raises(provision.CertificateUnusable):
        provision.provision(environment, report=events.append)

    assert events == []
