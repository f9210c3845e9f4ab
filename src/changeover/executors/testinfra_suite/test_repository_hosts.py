"""The host of the repository: who answers there, and who can read what it keeps."""

# ruff: noqa: S101 - asserts are what a check is made of
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from changeover.executors.testinfra_suite.conftest import Server

GROUPS = ("backup",)


def test_pgbackrest_runs_and_comes_back_after_a_boot(server: Server) -> None:
    """The database's host is answered."""
    assert server.unit("pgbackrest") == "active enabled"


def test_passphrase_and_repository_are_closed(root: Server) -> None:
    """Nobody but root and postgres reads the passphrase or a file of the repository."""
    assert root.mode("/etc/pgbackrest.conf") == "root:postgres 640"
    assert root.output("find /var/lib/pgbackrest -perm /007 ! -type l | head -n 3") == ""


def test_repository_is_encrypted(root: Server) -> None:
    """Each stanza's archive begins as pgBackRest's encryption does."""
    begins = "find /var/lib/pgbackrest/archive -name archive.info -exec head -c 8 {} ';'"

    assert set(root.output(begins).split("Salted__")) <= {""}
