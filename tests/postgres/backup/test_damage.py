from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest

from changeover.agent.backup import manifests
from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres

SEALED = b"age-encryption.org/v1\n" + bytes(range(256))


def flips(content: bytes, at: list[int]) -> list[bytes]:
    """Return the content with one bit flipped, once for each place."""
    return [
        content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]
        for place in at
    ]


def attach(site: Site) -> None:
    content = base64.b64encode(SEALED).decode()
    site.act("backup_attach", backup="one", member="a.age", content_base64=content)


def test_a_cut_or_a_flipped_bit_anywhere_is_named_before_anything_live_is_touched(
    site: Site,
) -> None:
    site.create(expects=["a.age"])
    attach(site)
    before = site.databases()
    directory = site.backups / "one"
    members = [path for path in directory.rglob("*") if path.is_file()]
    assert len(members) > 10
    tried = 0
    for path in members:
        content = path.read_bytes()
        size = len(content)
        places = sorted({0, size // 3, size // 2, size - 1})
        for broken in [content[:place] for place in places] + flips(content, places):
            path.write_bytes(broken)
            with pytest.raises(ActionError) as caught:
                manifests.check(directory)
            member = path.relative_to(directory).as_posix()
            assert caught.value.error == "backup-damaged"
            named = caught.value.detail["member"]
            assert named in {member, "manifest.json"}, "an altered manifest cannot accuse others"
            tried += 1
        with pytest.raises(ActionError):
            site.act("backup_restore", backup="one")
        path.unlink()
        with pytest.raises(ActionError, match=r"missing|not part"):
            manifests.check(directory)
        path.write_bytes(content)
    assert tried > 80
    assert site.databases() == before
    assert not (site.backups / "restore.json").exists()
    site.act("backup_verify", backup="one")


def test_a_backup_without_what_it_was_promised_does_not_count(site: Site) -> None:
    site.create(expects=["a.age"])
    with pytest.raises(ActionError, match=r"attachments/a\.age is missing"):
        site.act("backup_verify", backup="one")
    attach(site)
    site.act("backup_verify", backup="one")


def test_every_single_bit_of_the_records_counts(site: Site) -> None:
    site.create()
    attach(site)
    site.act("backup_verify", backup="one")
    directory = site.backups / "one"
    for name in ("SHA256SUMS", "attachments.json"):
        path = directory / name
        content = path.read_bytes()
        for bit in range(len(content) * 8):
            path.write_bytes(
                content[: bit // 8]
                + bytes([content[bit // 8] ^ 1 << bit % 8])
                + content[bit // 8 + 1 :]
            )
            with pytest.raises(ActionError):
                manifests.check(directory)
        path.write_bytes(content)
    proof = directory / "proved.json"
    assert manifests.proof(directory)
    content = proof.read_bytes()
    for broken in flips(content, list(range(len(content)))):
        proof.write_bytes(broken)
        assert manifests.proof(directory) is None


def test_a_file_that_does_not_belong_and_a_link_are_refused(site: Site) -> None:
    site.create()
    directory = site.backups / "one"
    (directory / "dump" / "more.dat").write_bytes(b"x")
    with pytest.raises(ActionError, match=r"dump/more.dat is not part of the backup"):
        site.act("backup_verify", backup="one")
    (directory / "dump" / "more.dat").unlink()

    toc = directory / "dump" / "toc.dat"
    toc.rename(site.root / "toc.dat")
    toc.symlink_to(site.root / "toc.dat")
    with pytest.raises(ActionError, match=r"toc\.dat is not a plain file"):
        site.act("backup_verify", backup="one")


def tamper(directory: Path, old: bytes, new: bytes) -> None:
    """Change a value in the dump and close the backup again, as if it had been dumped so."""
    for path in (directory / "dump").glob("*.gz"):
        content = gzip.decompress(path.read_bytes())
        if old in content:
            path.write_bytes(gzip.compress(content.replace(old, new, 1)))
            break
    seal(directory, path)


def seal(directory: Path, path: Path) -> None:
    """Close a backup again, as if this member had been so from the beginning."""
    manifest = json.loads((directory / "manifest.json").read_text())
    facts = {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    manifest["members"][path.relative_to(directory).as_posix()] = facts
    content = (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
    (directory / "manifest.json").write_bytes(content)
    (directory / "SHA256SUMS").write_bytes(manifests.sums(content, manifest["members"]))


@pytest.mark.parametrize(
    ("old", "new", "table", "words"),
    [
        (b"user7@example.test", b"user7@example.tesu", "public.users", "holds other values"),
        (b"the same line\n", b"", "public.audit", "has 9 rows restored, 10 in the dump"),
    ],
)
def test_a_dump_that_was_wrong_when_it_was_sealed_is_told_by_its_fingerprint(
    site: Site, old: bytes, new: bytes, table: str, words: str
) -> None:
    site.create()
    site.act("backup_verify", backup="one")
    tamper(site.backups / "one", old, new)

    with pytest.raises(ActionError, match=words) as caught:
        site.act("backup_verify", backup="one")

    assert caught.value.error == "backup-differs"
    assert caught.value.detail["table"] == table
    assert site.databases() == {site.shop.name}
    (listed,) = site.act("backup_list")["backups"]
    assert listed["proved"] is None


def test_a_sequence_that_was_dumped_behind_is_told_by_the_positions(site: Site) -> None:
    site.create()
    directory = site.backups / "one"
    toc = directory / "dump" / "toc.dat"
    content = toc.read_bytes()
    assert content.count(b"orders_id_seq', 3000, true") == 1
    toc.write_bytes(content.replace(b"orders_id_seq', 3000, true", b"orders_id_seq', 2999, true"))
    seal(directory, toc)

    with pytest.raises(ActionError, match="is behind: 2999, 3000 in the dump") as caught:
        site.act("backup_verify", backup="one")

    assert (caught.value.error, caught.value.detail["table"]) == (
        "backup-differs",
        "public.orders_id_seq",
    )
    assert site.databases() == {site.shop.name}


def test_an_index_that_is_missing_after_the_restore_is_told_by_the_definitions(site: Site) -> None:
    site.create()
    schema = site.backups / "one" / "schema.sql"
    content = schema.read_text()
    assert "orders_of_user" in content
    assert "\\restrict" not in content
    schema.write_text(content.replace("WHERE (total > (0)::numeric)", ""))
    seal(site.backups / "one", schema)

    with pytest.raises(ActionError) as caught:
        site.act("backup_verify", backup="one")

    assert caught.value.error == "backup-differs"
    assert "orders_of_user" in str(caught.value.cause)
    assert site.databases() == {site.shop.name}


def test_the_database_user_can_read_the_dump_and_change_nothing(site: Site) -> None:
    if os.geteuid() != 0:
        pytest.fail("this test has to run as root: it is about who owns a backup")
    site.create()
    attach(site)
    for path in [site.backups / "one", *(site.backups / "one").rglob("*")]:
        assert path.owner() == "root"
        assert path.stat().st_mode & 0o022 == 0
        assert path.stat().st_mode & 0o007 == 0
    assert (site.backups / "one" / "attachments" / "a.age").stat().st_mode & 0o077 == 0
