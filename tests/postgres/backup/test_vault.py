"""The controller's side, against real agent processes."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyrage
import pytest

from changeover.cli import db_diff
from changeover.cli.output import Output
from changeover.errors import CheckRed, InvalidInput
from changeover.executors import backup as backups
from changeover.executors.backup.vault import Vault
from changeover.remote.failures import AgentFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres

UNIT = "[Service]\nExecStart=/usr/bin/node server.js\n"


class Hosts:
    """An app host that gives its configuration, and a database host that is a real agent."""

    def __init__(self, site: Site, canary: str) -> None:
        self._site = site
        self._canary = canary

    def __call__(self, host: str, actions: Sequence[Any]) -> dict[str, Any]:
        return {one["id"]: self._one(host, **one) for one in actions}

    def _one(self, host: str, *, id: str, action: str, **parameters: Any) -> Any:  # noqa: A002, ANN401 - as on the wire
        if host.startswith("app"):
            assert (id, parameters) == ("collect", {"colour": "7.0.0-00000000"})
            env = f"NAME={host}\nJWT_SECRET={self._canary}\n"
            return {"env": env, "units": {"shop-web@x.service": UNIT}, "site": "server {}"}
        answer = self._site.agent(action, **parameters).last()
        if answer["type"] == "failed":
            raise AgentFailed(
                answer["message"], hint="?", host=host, error=answer["error"], detail=answer
            )
        return answer["result"]


@pytest.fixture
def identity() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


@pytest.fixture
def vault(site: Site, canary: str, identity: pyrage.x25519.Identity) -> Vault:
    return Vault(
        environment="test",
        run_agent=Hosts(site, canary),
        database_host="db1",
        app_hosts=("app1", "app2"),
        recipients=(str(identity.to_public()),),
    )


def create(vault: Vault, backup: str = "one", *, keep: bool = False) -> backups.Backup:
    return backups.create(
        vault,
        backup,
        release="7.0.0",
        colour="7.0.0-00000000",
        schema_version="7.0.0",
        keep=keep,
    )


def test_the_configuration_opens_with_the_identity_alone_and_lies_nowhere_in_clear(
    site: Site, vault: Vault, canary: str, identity: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    made = create(vault)
    assert made.proof is not None
    assert made.attachments == ("configuration.tar.age",)
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text(f"# made for a test\n{identity}\n")
    wrong.write_text(f"{pyrage.x25519.Identity.generate()}\n")

    opened = backups.open_attachment(vault, "one", right)

    assert opened["app2/env"].decode() == f"NAME=app2\nJWT_SECRET={canary}\n"
    assert opened["app1/units/shop-web@x.service"].decode() == UNIT
    assert set(opened) == {
        f"{host}/{file}"
        for host in ("app1", "app2")
        for file in ("env", "site.conf", "units/shop-web@x.service")
    }
    for identity_file in (wrong, tmp_path / "missing"):
        with pytest.raises(backups.NotOpened):
            backups.open_attachment(vault, "one", identity_file)
    forms = (canary.encode(), base64.b64encode(canary.encode())[4:-6])
    read = 0
    for folder in (site.root, site.shop.server.data):
        for path in folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                read += len(content)
                assert not any(form in content for form in forms), path
    assert read > 1_000_000
    assert b"backup_attach" in (site.root / "var/lib/changeover/shop/journal.jsonl").read_bytes()


def test_creating_again_under_the_same_id_changes_nothing_and_proves_again(
    site: Site, vault: Vault
) -> None:
    first = create(vault)
    site.shop.rows("INSERT INTO audit VALUES ('since')")
    second = create(vault)
    assert (second.rows, second.finished) == (first.rows, first.finished)
    assert [one.backup for one in backups.list_(vault).backups] == ["one"]


def test_without_recipients_nothing_is_backed_up(site: Site, canary: str) -> None:
    for recipients in ((), ("ssh-ed25519 AAAA",)):
        vault = Vault(
            environment="test",
            run_agent=Hosts(site, canary),
            database_host="db1",
            app_hosts=("app1",),
            recipients=recipients,
        )
        with pytest.raises(backups.NotEncryptable) as caught:
            create(vault)
        assert "changeover_backup_recipients" in caught.value.hint
    assert not site.backups.exists()


def test_an_attachment_that_is_not_encrypted_is_not_taken(site: Site) -> None:
    site.create()
    content = base64.b64encode(b"JWT_SECRET=plain").decode()
    answer = site.agent("backup_attach", backup="one", member="env", content_base64=content).last()
    assert answer["error"] == "not-encrypted"
    assert not (site.backups / "one/attachments").exists()


def test_failures_are_told_with_the_next_command_and_their_exit_code(
    site: Site, vault: Vault
) -> None:
    with pytest.raises(backups.BackupUnknown, match="has no backup none") as unknown:
        backups.verify(vault, "none")
    assert isinstance(unknown.value, InvalidInput)
    with pytest.raises(backups.BackupUnknown):
        backups.verify(vault, "../../etc")

    create(vault)
    member = next((site.backups / "one/dump").glob("*.gz"))
    member.write_bytes(member.read_bytes()[:-1])
    for act in (backups.verify, backups.restore):
        with pytest.raises(backups.BackupDamaged, match=member.name) as damaged:
            act(vault, "one")
        assert isinstance(damaged.value, CheckRed)
        assert "changeover backup list --env test" in damaged.value.hint
        assert damaged.value.host == "db1"
    (listed,) = backups.list_(vault).backups
    assert listed.proof is None, "what was proved before is not proved any more"


def test_a_restore_says_what_it_cost(site: Site, vault: Vault) -> None:
    create(vault, keep=True)
    site.shop.rows("INSERT INTO audit SELECT 'since' FROM generate_series(1, 4)")
    price = backups.price(vault, "one")
    assert [(one.table, one.rows_then, one.rows_now) for one in price.tables] == [
        ("public.audit", 10, 14)
    ]
    assert (price.left_at_most, price.back_at_most) == (4, 0)
    left = "at most 4 rows were inserted or changed that one does not have: going back leaves them behind"
    back = "at most 0 rows come back as they were, deleted or changed since"
    assert price.words().splitlines()[:2] == [f"since {price.since} {left}", back]
    assert (
        "  public.audit: 10 rows then, 14 rows now; 4 left behind, 0 back as they were"
        in price.words()
    )
    assert price.wal_bytes is not None
    assert 0 < price.wal_bytes < 1_000_000, "what the proof itself wrote is not the app's"

    done = backups.restore(vault, "one")

    assert done.warm
    assert done.rows_lost == price.left_at_most
    assert done.left == f"4 rows that one does not have are kept in {done.kept}"
    assert done.kept is not None
    assert site.shop.server.run("SELECT count(*) FROM audit", done.kept) == [(14,)]


def test_only_what_is_older_than_the_newest_proved_goes(site: Site, vault: Vault) -> None:
    for name in ("a", "b", "c"):
        create(vault, name)
    site.create("d")

    due = backups.due(vault, 1)
    assert due.names == ("b", "a")
    assert backups.retain(vault, 1, due.names).backups == ("b", "a")
    assert [one.backup for one in backups.list_(vault).backups] == ["d", "c"]
    assert backups.due(vault, 1).names == ()


def test_a_difference_is_told_by_table_and_an_unknown_database_with_those_there_are(
    site: Site, vault: Vault
) -> None:
    create(vault)
    site.shop.rows("INSERT INTO users (id, email) VALUES (9001, 'since'); DELETE FROM audit")
    site.shop.rows("CREATE TABLE notes (said text); INSERT INTO notes VALUES ('x')")
    kept = backups.restore(vault, "one").kept
    assert kept is not None

    found = backups.diff(vault, examples=2)

    assert (found.kept, found.live, found.same) == (kept, site.shop.name, False)
    words = found.words().splitlines()
    assert "  public.users: 1 only in the kept one, 0 only in the live one, 0 changed" in words
    assert "    only in the kept one: id = 9001" in words
    assert "  public.notes: only the kept one has this table, 1 row" in words
    assert any(line.startswith("  public.audit: 0 only in the kept one, 10 ") for line in words)
    assert "    -CREATE TABLE public.notes (" in words
    assert found.as_json()["tables"][2]["examples"]["only_kept"] == [{"id": 9001}]

    with pytest.raises(backups.DatabaseUnknown, match=f"there are: {kept}") as unknown:
        backups.diff(vault, "none_such")
    assert unknown.value.exit_code == 2
    assert unknown.value.hint == "changeover backup list --env test names them"


class Reached:
    """What a verb reaches its hosts by, without hosts."""

    fleet = None

    def run(self) -> Reached:
        return self


def test_the_verb_prints_the_difference_for_people_and_as_one_object(
    site: Site, vault: Vault, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = f"{site.shop.name}_failed_20260101000000"
    site.shop.server.run(f"CREATE DATABASE {kept}")
    monkeypatch.setattr(
        db_diff, "open_desk", lambda *_, json_lines: SimpleNamespace(output=Output(json_lines))
    )
    monkeypatch.setattr(db_diff, "context_of", lambda _: Reached())
    monkeypatch.setattr(backups, "vault_of", lambda _: vault)

    db_diff.diff()
    printed = capsys.readouterr().out.splitlines()
    db_diff.diff(kept, json=True)
    version, told = map(json.loads, capsys.readouterr().out.splitlines())

    assert printed[0] == f"{kept} (kept) and {site.shop.name} (live) differ:"
    assert "  public.users: only the live one has this table, 2000 rows" in printed
    assert "    +CREATE TABLE public.users (" in printed
    assert version["type"] == "version"
    assert (told["type"], told["kept"], told["same"]) == ("difference", kept, False)
    assert told["schema_lines"] > len(told["tables"]) == 6
