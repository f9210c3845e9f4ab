from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from changeover.inventory import load
from changeover.lab.companions import CompanionFailed, read_companions
from changeover.lab.identity import identify
from changeover.lab.inventory_files import asked_for, make_keys, write_inventory
from changeover.lab.lifecycle import LabAppUnknown, up
from changeover.lab.state import HostState, LabState
from changeover.lab.topology import TopologyUnknown, read_topology
from changeover.lab.vault import draw, of_apps

CHECKOUT = Path(__file__).resolve().parents[3]
TRACKED = CHECKOUT / "inventories/lab"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the inventory of a fleet without hosts and return its directory."""
    return write(tmp_path, monkeypatch)


def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *apps: str) -> Path:
    monkeypatch.setenv("CHANGEOVER_LAB", "paper")
    monkeypatch.setenv("CHANGEOVER_LAB_STATE", str(tmp_path))
    lab = identify(CHECKOUT)
    topology = read_topology(TRACKED, "fleet")
    state = LabState(
        name="paper", checkout=str(CHECKOUT), subnet="10.64.9.0/24", topology="fleet", apps=apps
    )
    for host in topology.hosts:
        state.hosts[host.name] = HostState(
            name=host.name,
            address=f"10.64.9.{host.number}",
            groups=host.groups,
            layers=("seed",),
            image="image",
        )
    write_inventory(lab, state, topology, make_keys(lab))
    before = {path: path.read_bytes() for path in lab.inventory.rglob("*.yml")}
    write_inventory(lab, state, topology, make_keys(lab))
    assert {path: path.read_bytes() for path in lab.inventory.rglob("*.yml")} == before
    return lab.inventory


def test_the_inventory_is_one_that_the_toolkit_reads(written: Path) -> None:
    environment = load(str(written))
    groups = {
        group: [host.name for host in environment.hosts if group in host.groups]
        for group in ("lb", "app", "db", "cache")
    }
    assert groups == {"lb": ["lb1"], "app": ["app1", "app2"], "db": ["db1"], "cache": ["db1"]}


def test_addresses_are_filled_into_the_settings(written: Path) -> None:
    text = (written / "group_vars/all/lab.yml").read_text()
    assert "{" not in text.replace("{}", "")
    assert "http://10.64.9.1:9400/google/token" in text
    assert yaml.safe_load(text)["changeover_public_address"] == "10.64.9.21"


def test_no_secret_is_readable_by_others_or_written_in_the_open(written: Path) -> None:
    state = written.parent
    for file in (state / "keys").rglob("*"):
        if file.is_file():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    drawn = (state / "secrets.json").read_text().split('"')
    secrets = [word for word in drawn if len(word) == 64]
    assert len(secrets) >= 3
    for file in written.rglob("*"):
        if file.is_file():
            assert not any(secret in file.read_text() for secret in secrets), file


def test_the_private_authority_is_one_that_strict_clients_accept(written: Path) -> None:
    directory = written.parent / "keys"
    certificate = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
    key = serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None)
    assert certificate.public_key() == key.public_key()
    extensions = certificate.extensions
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    identifier = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert identifier.digest == authority.key_identifier


def test_drawn_secrets_stay_and_new_names_get_their_own() -> None:
    first = draw({"a": {"app": ["X"]}, "b": ["app"]}, {})
    second = draw({"a": {"app": ["X", "Y"]}, "b": ["app"]}, first)
    assert second["a"]["app"]["X"] == first["a"]["app"]["X"]
    assert second["b"] == first["b"]
    values = [first["a"]["app"]["X"], second["a"]["app"]["Y"], first["b"]["app"]]
    assert len(set(values)) == 3


def test_hosts_of_one_name_have_one_number_over_all_topologies() -> None:
    numbers: dict[str, int] = {}
    for name in yaml.safe_load((TRACKED / "topologies.yml").read_text()):
        for host in read_topology(TRACKED, name).hosts:
            assert numbers.setdefault(host.name, host.number) == host.number
    assert len(set(numbers.values())) == len(numbers)


def test_an_unknown_topology_is_named_with_the_known_ones() -> None:
    with pytest.raises(TopologyUnknown) as unknown:
        read_topology(TRACKED, "globe")
    assert "single" in unknown.value.hint


def test_a_companion_cannot_want_a_secret_that_nobody_draws() -> None:
    with pytest.raises(CompanionFailed, match="GITHUB_CLIENT_SECRET"):
        read_companions(
            TRACKED, ["nox-api"], "10.64.9.1", {"nox-api": {"GOOGLE_CLIENT_SECRET": "x"}}
        )


def test_a_lab_has_the_apps_of_its_files_unless_it_was_asked_for_others(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load(str(written))
    after = load(str(write(tmp_path / "again", monkeypatch, "voxflow", "onboarding")))

    assert list(before.apps) == ["nox-api"]
    assert list(after.apps) == ["voxflow", "onboarding"]
    assert (after.public_name("onboarding"), after.public_name("voxflow")) == (
        "onboarding.lab.test",
        "voxflow.lab.test",
    )


def test_a_lab_that_is_asked_for_the_apps_of_its_files_goes_on_following_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHANGEOVER_LAB", "paper")
    lab = identify(CHECKOUT)

    assert asked_for(lab, ["nox-api", "nox-api"]) == ()
    assert asked_for(lab, ["nox-api", "voxflow", "nox-api"]) == ("nox-api", "voxflow")


def test_an_app_that_a_lab_has_not_leaves_no_secret_in_it() -> None:
    drawn = {
        "changeover_secrets": {"one": {"KEY": "a"}, "other": {"KEY": "b"}},
        "changeover_database_passwords": {"other": {"owner": "c"}},
        "changeover_cache_passwords": {"one": "d", "other": "e"},
        "changeover_repository": {"passphrase": "f"},
    }

    assert of_apps(drawn, ["one"]) == {
        "changeover_secrets": {"one": {"KEY": "a"}},
        "changeover_database_passwords": {},
        "changeover_cache_passwords": {"one": "d"},
        "changeover_repository": {"passphrase": "f"},
    }


def test_a_companion_runs_where_its_app_is() -> None:
    secrets = {
        "nox-api": dict.fromkeys(
            ("GOOGLE_CLIENT_SECRET", "GITHUB_CLIENT_SECRET", "MICROSOFT_CLIENT_SECRET"), "x"
        )
    }

    names = [
        [one.name for one in read_companions(TRACKED, apps, "10.64.9.1", secrets)]
        for apps in (["nox-api"], ["voxflow"])
    ]

    assert names == [["oauth-provider"], []]


def test_an_app_without_a_place_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHANGEOVER_LAB", "paper")
    monkeypatch.setenv("CHANGEOVER_LAB_STATE", str(tmp_path / "state"))

    with pytest.raises(LabAppUnknown, match="no app voxflo, did you mean voxflow") as refused:
        up(identify(CHECKOUT), None, print, ["voxflo"])

    assert refused.value.hint is not None
    assert "nox-api, onboarding, voxflow" in refused.value.hint
    assert not (tmp_path / "state").exists()
