"""A rehearsal writes to nothing but its clone, whatever the database reaches."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.postgres.backup.rehearsing import Rehearsing, rehearsing

from changeover.runner.rehearse import rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.backup.conftest import Site

__all__ = ["rehearsing"]
pytestmark = pytest.mark.postgres
ELSEWHERE = """
CREATE TABLE balance (euros int); INSERT INTO balance VALUES (1);
CREATE EXTENSION postgres_fdw; CREATE EXTENSION dblink;
CREATE SERVER itself FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{socket}', port '{port}', dbname '{name}');
CREATE USER MAPPING FOR PUBLIC SERVER itself OPTIONS (user 'postgres', password_required 'false');
CREATE FOREIGN TABLE far (euros int) SERVER itself OPTIONS (table_name 'balance');
GRANT ALL ON far TO {name}_owner; GRANT USAGE ON FOREIGN SERVER itself TO {name}_owner;
CREATE FUNCTION pay() RETURNS text SECURITY DEFINER LANGUAGE sql AS
$$SELECT public.dblink_exec('host={socket} port={port} dbname={name} user=postgres', 'UPDATE balance SET euros = 9')$$"""


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE far SET euros = euros + 1", '"postgres_fdw" has no handler'),
        ("SELECT pay()", "dblink_exec is not run there"),
    ],
)
def test_what_the_live_database_reaches_is_not_written_to_by_a_rehearsal(
    site: Site,
    rehearsing: Callable[[dict[str, str]], Rehearsing],
    statement: str,
    words: str,
) -> None:
    server, name = site.shop.server, site.shop.name
    site.shop.rows(ELSEWHERE.format(socket=server.directory, port=server.port, name=name))
    deployment = rehearsing(
        {"expand/001_far.sql": statement, "expand/001_far.revert.sql": statement}
    )

    with pytest.raises(rehearsal.RehearsalRed) as caught:
        deployment.rehearse()

    assert words in caught.value.message
    assert "a rehearsal reaches nothing beyond its clone" in caught.value.hint
    assert site.shop.rows("SELECT euros FROM balance") == [(1,)]


def test_definitions_of_a_clone_are_those_of_the_live_database(
    site: Site, rehearsing: Callable[[dict[str, str]], Rehearsing]
) -> None:
    server, name = site.shop.server, site.shop.name
    site.shop.rows(ELSEWHERE.format(socket=server.directory, port=server.port, name=name))
    rehearsing({"expand/001_note.sql": "SELECT 1"})

    site.act("backup_rehearsal", backup="one")

    looks = [
        site.act("backup_rehearsed", backup="one")["schema"],
        site.act("backup_schema")["schema"],
    ]
    made, wanted = (
        re.findall(r"^(?:CREATE|ALTER|GRANT|REVOKE) .*", text, re.MULTILINE) for text in looks
    )
    assert made == wanted
    assert any("postgres_fdw" in line for line in made)
