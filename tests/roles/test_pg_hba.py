"""Who may enter the database from where, as the role's template says it."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

TEMPLATE = (
    Path(__file__).resolve().parents[2] / "roles/postgresql/templates/etc/postgresql/pg_hba.conf.j2"
)
SHOP = {"name": "shop", "owner": "shop_owner", "role": "shop_app"}


@pytest.mark.parametrize(
    ("declared", "owner_from"),
    [
        ({}, ["127.0.0.1/32"]),
        ({"migrates_itself": False}, ["127.0.0.1/32"]),
        ({"migrates_itself": True}, ["127.0.0.1/32", "10.0.0.5/32", "fd00::5/128"]),
    ],
)
def test_the_owner_comes_from_app_hosts_only_where_the_app_migrates_itself(
    declared: dict[str, bool], owner_from: list[str]
) -> None:
    text = jinja2.Template(TEMPLATE.read_text(), trim_blocks=True).render(
        ansible_managed="x",
        postgresql_databases={"shop": {**SHOP, **declared}},
        postgresql_app_hosts=["10.0.0.5", "fd00::5"],
    )

    lines = [line.split() for line in text.splitlines() if line.startswith("host ")]
    assert [words[3] for words in lines if words[2] == "shop_owner"] == owner_from
    assert [(words[1], words[3], words[4]) for words in lines if words[2] == "shop_app"] == [
        ("shop", "10.0.0.5/32", "scram-sha-256"),
        ("shop", "fd00::5/128", "scram-sha-256"),
        # The first line that fits counts: from here the role enters a rehearsal's clone alone.
        ("shop,postgres,template1", "127.0.0.1/32", "reject"),
        ("all", "127.0.0.1/32", "scram-sha-256"),
    ]
