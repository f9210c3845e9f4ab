"""What a user gets wrong is refused with a clear word, and nothing on the hosts changes."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from .live import APP, CHECKOUT

if TYPE_CHECKING:
    from .live import User

pytestmark = pytest.mark.lab

RELEASES = CHECKOUT / "apps" / APP / "releases"
NEXT = "8.0.0"


def extra_release(user: User, version: str, **changes: object) -> str:
    """Write a release like the next one into a root of its own and return that root."""
    directory = user.root / "extra" / APP / version
    shutil.copytree(RELEASES / NEXT, directory)
    document = yaml.safe_load((directory / "release.yml").read_text())
    document.update(version=version, **changes)
    (directory / "release.yml").write_text(yaml.safe_dump(document, sort_keys=False))
    return str(user.root / "extra")


def test_an_unknown_version(user: User) -> None:
    error = user.refused("deploy", "9.9.9", "--yes", status=2)

    assert error["message"] == "nox-api has no release 9.9.9"
    assert error["next"] == "name one of: 6.0.0, 7.0.0, 8.0.0"


def test_a_version_that_was_before(user: User) -> None:
    error = user.refused("deploy", "6.0.0", "--yes", status=2)

    assert error["message"] == "nox-api 6.0.0 may not follow 7.0.0"
    assert error["next"].startswith("changeover rollback --to 6.0.0 --env ")
    assert error["next"].endswith(" goes back; after 7.0.0 may come: 8.0.0")


def test_a_version_that_no_chain_leads_to(user: User) -> None:
    extra = extra_release(user, "9.0.0", follows=["8.5.0"], direct=[])

    error = user.refused("deploy", "9.0.0", "--yes", status=2, CHANGEOVER_RELEASES=extra)

    assert error["message"] == "nox-api 9.0.0 may not follow 7.0.0"
    assert error["next"] == "after 7.0.0 may come: 8.0.0"


def test_a_direct_way_that_the_release_does_not_allow(user: User) -> None:
    extra = extra_release(user, "9.0.0", follows=["8.0.0"], direct=["6.0.0"])
    typed = ("deploy", "9.0.0", "--yes", "--direct")

    error = user.refused(*typed, status=2, CHANGEOVER_RELEASES=extra)

    assert error["message"] == "nox-api 9.0.0 does not allow to come directly from 7.0.0"
    assert error["next"] == "after 7.0.0 may come: 8.0.0"


def test_a_missing_secret(user: User) -> None:
    user.edit_vault(lambda secrets: secrets["changeover_secrets"][APP].pop("CSRF_SECRET"))

    error = user.refused("deploy", NEXT, "--yes", status=2)

    assert error["message"].endswith("missing: CSRF_SECRET")
    assert "group_vars/all/vault.yml" in error["next"]


def test_a_value_of_the_wrong_type(user: User) -> None:
    def change(variables: dict[str, Any]) -> None:
        variables["changeover_settings"][APP]["AI_THREAT_THRESHOLD"] = "high"

    user.edit("group_vars/all/lab.yml", change)

    error = user.refused("deploy", NEXT, "--yes", status=2)

    assert error["message"].endswith("wrong: AI_THREAT_THRESHOLD")
    assert "number" in error["cause"]
    assert "group_vars/all/lab.yml" in error["next"]


def test_an_unknown_key_in_a_release(user: User) -> None:
    minimum = {"minimum": {"nod": "18.0.0"}}
    extra = extra_release(user, "8.0.2", follows=["8.0.0"], requires=minimum)

    error = user.refused("deploy", "8.0.2", "--yes", status=2, CHANGEOVER_RELEASES=extra)

    assert "requires.minimum.nod: unknown key, did you mean node?" in error["message"]
    assert f"{extra}/{APP}/8.0.2/release.yml" in error["message"]
    assert f"{extra}/{APP}/8.0.2/release.yml" in error["next"]


def test_an_edited_migration(user: User) -> None:
    folder = user.own("apps") / APP / "releases/7.0.0/migrations/expand"
    edited = folder / "003_authentication_logs.sql"
    edited.write_text(edited.read_text() + "\n-- one more word\n")

    error = user.refused("deploy", NEXT, "--yes", status=2)

    assert error["message"] == f"{edited} was changed after it ran on nox_api"
    assert error["host"] == "host1"
    assert "sha256 then" in error["cause"]
    assert error["next"] == "restore the file, and write the correction as the next migration"


def test_a_bundle_that_was_changed_is_told_and_built_again(user: User) -> None:
    packages = (user.root / "build" / "packages").resolve()
    (user.root / "build").unlink()
    (user.root / "build").mkdir()
    (user.root / "build" / "packages").symlink_to(packages)
    assert user.run("bundle", "build", NEXT).returncode == 0
    (bundle,) = (user.root / "build" / "bundles").glob("*.bundle")
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:])

    error = user.refused("bundle", "verify", str(bundle), status=6)
    assert error["message"] == (
        f"{bundle.name} was changed after it was built: it is not what was signed"
    )
    planned = user.run("plan", NEXT)

    assert planned.returncode == 0, planned.stderr
    assert bundle.read_bytes() == whole
    assert user.run("bundle", "verify", str(bundle)).returncode == 0
    user.assert_unchanged()


def test_a_host_that_cannot_be_reached(user: User) -> None:
    away = user.lab.hosts["host1"]["address"].rpartition(".")[0] + ".250"

    def change(document: dict[str, Any]) -> None:
        for group in document["all"]["children"].values():
            group["hosts"]["host1"]["ansible_host"] = away

    user.edit("hosts.yml", change)

    error = user.refused("deploy", NEXT, "--yes", status=6)

    assert error["message"] == f"host1 ({away}:22) does not answer SSH"
    assert error["host"] == "host1"
    assert "correct its address in the inventory" in error["next"]


def test_a_changed_host_key(user: User) -> None:
    key = user.root / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    address = user.lab.hosts["host1"]["address"]
    known = user.root / "known_hosts"
    kind, public, *_ = key.with_suffix(".pub").read_text().split()
    known.write_text(f"{address} {kind} {public}\n")
    user.edit(
        "group_vars/all/lab.yml", lambda found: found.update(changeover_known_hosts=str(known))
    )

    error = user.refused("deploy", NEXT, "--yes", status=6)

    assert error["message"] == f"the host key of host1 ({address}) is not the recorded one"
    assert error["host"] == "host1"
    assert str(known) in error["next"]


def test_a_wrong_password_of_the_database(user: User) -> None:
    wrong = "not-the-password-of-the-owner"
    user.edit_vault(
        lambda secrets: secrets["changeover_database_passwords"][APP].update(owner=wrong)
    )

    error = user.refused("deploy", NEXT, "--yes", status=6)

    assert error["message"] == "nox_api on host1 refuses nox_api_owner"
    assert error["host"] == "host1"
    assert "password authentication failed" in error["cause"]
    assert "changeover_database_passwords" in error["next"]
    assert wrong not in str(error)
