"""Certificates held against the public name and the calendar."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from changeover.executors.preflight import certificates

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


def test_nobody_at_the_public_address_is_no_fault() -> None:
    finding = certificates.served("shop.test", "127.0.0.1", None, port=1)

    assert (finding.status, finding.message) == (
        "ok",
        "shop.test at 127.0.0.1 does not speak TLS yet",
    )
