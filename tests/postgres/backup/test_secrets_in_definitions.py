"""Passwords in definitions: nobody gets to see them, and a difference between two is still one."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from changeover.agent.backup import manifests
from changeover.agent.failure import ActionError
from changeover.agent.postgres.session import Session
from changeover.agent.postgres.tools import Server

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres
FAR = """
CREATE EXTENSION postgres_fdw;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/nowhere', sslkey '{0}.key');
CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'visitor', password '{0}''\\x');
CREATE FUNCTION reach() RETURNS text LANGUAGE sql AS $$
SELECT 'host=h password=''{0}''' || 'host=h password={0} x' || 'postgresql://u:{0}@h/d' $$"""
CHANGED = """
ALTER SERVER far OPTIONS (SET sslkey '{0}.key');
ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (SET password '{0}')"""


def wrong_when_sealed(site: Site, old: str, new: str) -> None:
    """Change the definitions of a backup and close it again, as if they had been read so."""
    directory = site.backups / "one"
    schema = directory / "schema.sql"
    schema.write_text(schema.read_text().replace(old, new))
    manifest = json.loads((directory / "manifest.json").read_text())
    digest = hashlib.sha256(schema.read_bytes()).hexdigest()
    manifest["members"]["schema.sql"] = {"bytes": schema.stat().st_size, "sha256": digest}
    raw = (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
    (directory / "manifest.json").write_bytes(raw)
    sums = manifests.sums(raw, manifest["members"])
    (directory / "SHA256SUMS").write_bytes(sums)


def test_passwords_in_definitions_are_shown_to_nobody_and_compared_all_the_same(
    site: Site, canary: str
) -> None:
    site.shop.rows(FAR.format(canary))
    site.create()
    site.shop.rows(CHANGED.format(f"{canary}-new"))
    changed = site.act("backup_schema")["schema"]
    site.act("backup_restore", backup="one")
    before = site.act("backup_schema")["schema"]

    differences = site.act("backup_diff")["schema"]
    site.act("backup_rehearsal", backup="one")
    rehearsed = site.act("backup_rehearsed", backup="one")["schema"]

    everything = [changed, before, *differences, rehearsed]
    assert not [text for text in everything if canary in text]
    marked = [line[0] for line in differences if "(hidden " in line]
    assert sorted(marked) == ["+", "+", "-", "-"]
    assert changed != before
    assert "\"user\" 'visitor'" in before
    assert rehearsed == before, "what is the same is marked the same, whoever asks"
    assert (site.backups / "definitions.key").stat().st_mode & 0o777 == 0o600


def test_a_proof_that_fails_for_a_password_does_not_tell_it(site: Site, canary: str) -> None:
    site.shop.rows(FAR.format(canary))
    site.create()
    wrong_when_sealed(site, canary, f"{canary}-new")

    with pytest.raises(ActionError) as caught:
        site.act("backup_verify", backup="one")

    assert caught.value.error == "backup-differs"
    assert "password '(hidden " in str(caught.value.cause)
    assert canary not in str(caught.value.cause)


def test_a_refused_statement_is_told_without_its_password(site: Site, canary: str) -> None:
    socket, port = str(site.shop.server.directory), site.shop.server.port
    refused = f"CREATE USER MAPPING FOR PUBLIC SERVER gone OPTIONS (password '{canary}')"
    with (
        Session(Server(socket=socket, port=port), site.shop.name) as session,
        pytest.raises(ActionError) as caught,
    ):
        session.run(f"DO $do$ BEGIN EXECUTE $x${refused}$x$; END $do$")
    assert 'server "gone" does not exist' in str(caught.value.cause)
    assert canary not in str(caught.value.cause)
