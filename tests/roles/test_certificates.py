"""Both ends of a certificate: what a host asks for, and what the controller signs or refuses."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

FILES = Path(__file__).resolve().parents[2] / "roles/tls/files"
NAME = "shop.example.org"


@dataclass(frozen=True)
class Authority:
    directory: Path

    @property
    def certificate(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def key(self) -> Path:
        return self.directory / "ca.key"

    def sign(self, request: str, names: str = NAME, days: int = 90) -> str:
        done = run("sign", self.certificate, self.key, str(days), names, request=request)
        assert done.returncode == 0, done.stderr
        return done.stdout


def run(*words: str | Path, request: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, FILES / "authority.py", *words],
        input=request,
        capture_output=True,
        text=True,
        check=False,
    )


def host(action: str, directory: Path, *words: str, given: str = "") -> str:
    program = (FILES / "host.sh").read_text(encoding="utf-8")
    done = subprocess.run(
        ["/bin/sh", "-c", program, "certificate", action, directory, *words],
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def installed(tmp_path: Path, authority: Authority) -> Path:
    directory = tmp_path / "host"
    directory.mkdir()
    _, request = host("request", directory, "30", NAME).split("\n", 1)
    host("install", directory, str(tmp_path / "due/tls"), given=authority.sign(request))
    return directory


def probe(directory: Path, authority: Authority, *, days: int = 30, names: str = NAME) -> str:
    trusted = authority.certificate.read_text()
    return host("probe", directory, str(days), names, given=trusted).strip()


def test_a_host_without_a_certificate_asks_for_one(tmp_path: Path) -> None:
    assert host("probe", tmp_path, "30", NAME).strip() == "due: there is none"


def test_a_signed_certificate_is_left_alone(installed: Path, authority: Authority) -> None:
    assert probe(installed, authority) == "fresh"


def test_what_nginx_has_not_loaded_yet_is_noted(installed: Path, tmp_path: Path) -> None:
    due = tmp_path / "due/tls"

    assert due.read_text() == f"{installed}/fullchain.pem\n"
    assert due.parent.stat().st_mode & 0o777 == 0o755


def test_the_key_never_leaves_the_host(tmp_path: Path) -> None:
    asked = host("request", tmp_path, "30", NAME)

    assert "BEGIN CERTIFICATE REQUEST" in asked
    assert "PRIVATE KEY" not in asked
    assert (tmp_path / "privkey.pem.new").stat().st_mode & 0o007 == 0


def test_a_certificate_is_due_before_it_ends(installed: Path, authority: Authority) -> None:
    assert probe(installed, authority, days=91) == "due: it ends within 91 days"


def test_another_name_makes_it_due(installed: Path, authority: Authority) -> None:
    names = f"{NAME} www.{NAME}"

    assert probe(installed, authority, names=names) == f"due: it is not for www.{NAME}"


def test_another_authority_makes_it_due(installed: Path, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    _, request = host("request", tmp_path, "30", NAME).split("\n", 1)
    other.sign(request)

    assert probe(installed, other) == "due: the authority is another"


def test_a_key_of_another_certificate_makes_it_due(installed: Path, authority: Authority) -> None:
    host("request", installed, "30", f"{NAME} more.{NAME}")
    (installed / "privkey.pem.new").rename(installed / "privkey.pem")

    assert probe(installed, authority) == "due: the key is another"


def test_a_certificate_for_another_key_is_not_installed(
    installed: Path, authority: Authority, tmp_path: Path
) -> None:
    before = (installed / "fullchain.pem").read_bytes()
    host("request", installed, "30", f"{NAME} more.{NAME}")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    _, request = host("request", foreign, "30", NAME).split("\n", 1)

    with pytest.raises(AssertionError):
        host("install", installed, given=authority.sign(request))

    assert (installed / "fullchain.pem").read_bytes() == before


def test_only_the_declared_names_are_signed(tmp_path: Path, authority: Authority) -> None:
    _, request = host("request", tmp_path, "30", "bank.example.org").split("\n", 1)
    chain = tmp_path / "chain.pem"
    chain.write_text(authority.sign(request))

    held = subprocess.run(
        ["openssl", "x509", "-in", chain, "-noout", "-subject", "-ext", "subjectAltName"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert NAME in held
    assert "bank" not in held


def test_the_authority_is_made_once_and_its_key_is_private(
    installed: Path, authority: Authority
) -> None:
    before = authority.certificate.read_bytes()
    _, request = host("request", installed, "30", f"{NAME} more.{NAME}").split("\n", 1)
    authority.sign(request)

    assert authority.certificate.read_bytes() == before
    assert authority.key.stat().st_mode & 0o777 == 0o600


def check(installed: Path, names: str, key: Path | None = None) -> str:
    chain, private = installed / "fullchain.pem", key or installed / "privkey.pem"
    places = [folder / "authority/ca.pem" for folder in (installed, installed.parent)]
    done = run("check", chain, private, names, *places)
    return done.stderr.strip()


def test_a_certificate_that_fits_is_accepted(installed: Path) -> None:
    assert check(installed, NAME) == ""


def test_a_brought_certificate_for_another_name_is_refused(installed: Path) -> None:
    assert check(installed, "bank.example.org").endswith(
        f"is not for bank.example.org; it is for {NAME}"
    )


def test_a_brought_key_of_another_certificate_is_refused(
    installed: Path, authority: Authority
) -> None:
    assert "is not the key of" in check(installed, NAME, key=authority.key)


def test_an_expired_certificate_is_refused(tmp_path: Path, authority: Authority) -> None:
    _, request = host("request", tmp_path, "30", NAME).split("\n", 1)
    (tmp_path / "fullchain.pem").write_text(authority.sign(request, days=0))
    (tmp_path / "privkey.pem.new").rename(tmp_path / "privkey.pem")

    assert " has expired on " in check(tmp_path, NAME)


def test_a_wildcard_covers_one_label(tmp_path: Path, authority: Authority) -> None:
    _, request = host("request", tmp_path, "30", NAME).split("\n", 1)
    (tmp_path / "fullchain.pem").write_text(authority.sign(request, names="*.example.org"))
    (tmp_path / "privkey.pem.new").rename(tmp_path / "privkey.pem")

    assert check(tmp_path, NAME) == ""
    assert "is not for a.b.example.org" in check(tmp_path, "a.b.example.org")
