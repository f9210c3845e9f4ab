"""Certificates held against the public name and the calendar."""

from __future__ import annotations

import datetime as dt
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from changeover import public_tls
from changeover.executors import preflight
from changeover.executors.preflight import certificates
from changeover.release.model import Requirements

if TYPE_CHECKING:
    from tests.unit.conftest import Project

PATH = "/etc/ssl/changeover/shop/fullchain.pem"


def pem(*names: str, begins: int = -30, ends: int = 90) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=begins))
        .not_valid_after(now + dt.timedelta(days=ends, hours=1))
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        certificate = certificate.add_extension(alternatives, critical=False)
    signed = certificate.sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def said(text: str | None, *, needed: bool = True) -> list[tuple[str, str]]:
    found = certificates.in_file("web1", PATH, text, "shop.test", needed=needed)
    return [(finding.status, finding.message) for finding in found]


@pytest.mark.parametrize("names", [("shop.test",), ("www.test", "SHOP.test"), ("*.test",)])
def test_a_sound_certificate(names: tuple[str, ...]) -> None:
    assert said(pem(*names)) == [("ok", "the certificate lasts 90 more days")]


def test_what_is_wrong_with_a_certificate() -> None:
    ended = (dt.datetime.now(dt.UTC) - dt.timedelta(days=2) + dt.timedelta(hours=1)).date()

    assert said(pem("shop.test", ends=-2)) == [
        ("red", f"the certificate {PATH} has expired on {ended}")
    ]
    assert said(pem("shop.test", begins=2)) == [("red", f"the certificate {PATH} is not valid yet")]
    other = [("red", f"the certificate {PATH} is not made out to shop.test")]
    assert said(pem("other.test")) == other
    assert said(pem("*.shop.test")) == other
    assert said(pem()) == other
    assert said("-----BEGIN NONSENSE-----") == [("red", f"{PATH} is not a certificate")]
    assert said(pem("shop.test", ends=5)) == [("warn", "the certificate lasts 5 more days")]


def test_an_absent_certificate_is_red_only_where_it_is_needed() -> None:
    assert said(None) == [("red", f"there is no certificate at {PATH}")]
    assert said(None, needed=False) == []


def test_nobody_at_the_public_address_is_a_warning() -> None:
    finding = certificates.served("shop.test", "127.0.0.1", public_tls.trusting(None), port=1)

    assert (finding.status, finding.message) == (
        "warn",
        "shop.test at 127.0.0.1: nobody answers on port 1",
    )


def test_somebody_who_hangs_up_on_users_is_red() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            listener.accept()[0].close()

        threading.Thread(target=hang_up).start()
        port = listener.getsockname()[1]

        finding = certificates.served(
            "shop.test", "127.0.0.1", public_tls.trusting(None), port=port
        )

    assert finding.status == "red"
    assert finding.message.startswith("shop.test at 127.0.0.1: ")


@pytest.mark.parametrize(("content", "said"), [(None, "is not there"), ("", "cannot be read")])
def test_an_authority_that_cannot_be_read_stops_preflight_before_a_host_is_asked(
    project: Project, content: str | None, said: str
) -> None:
    authority = project.root / "keys/ca.pem"
    project.edit(project.variables, "{mode: files,", "{mode: files, ca_certificate: keys/ca.pem,")
    if content is not None:
        authority.parent.mkdir()
        authority.write_text(content)

    with pytest.raises(public_tls.AuthorityUnreadable, match=said) as caught:
        preflight.apply(project.environment, "hello", Requirements(), None, print)

    assert caught.value.exit_code == 2
    assert str(authority) in caught.value.message
    assert "changeover_tls" in caught.value.hint
