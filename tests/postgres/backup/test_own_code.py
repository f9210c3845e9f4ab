"""The app's own code does not run as a superuser while its database is backed up, compared and priced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres

CASTS = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE moods (mood mood PRIMARY KEY, line text);
INSERT INTO moods VALUES ('good', 'one'), ('bad', 'two');
CREATE FUNCTION spy(value mood) RETURNS text LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION '% reads %', current_user, value; END$$;
CREATE FUNCTION spy_json(value mood) RETURNS json LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION '% reads %', current_user, value; END$$;
CREATE FUNCTION spy_row(value moods) RETURNS text LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION '% reads a row', current_user; END$$;
CREATE CAST (mood AS text) WITH FUNCTION spy(mood);
CREATE CAST (mood AS json) WITH FUNCTION spy_json(mood);
CREATE CAST (moods AS text) WITH FUNCTION spy_row(moods)"""
SINCE = """
ALTER TABLE moods ADD COLUMN later mood DEFAULT 'good', ADD COLUMN latest mood;
UPDATE moods SET later = 'bad', latest = 'good', line = 'three' WHERE mood = 'bad';
CREATE TABLE new AS TABLE moods"""


def test_a_cast_that_the_app_made_is_not_asked(site: Site) -> None:
    site.shop.rows(CASTS)

    site.create()
    site.shop.rows(SINCE)
    price = site.act("backup_price", backup="one")
    done = site.act("backup_restore", backup="one")
    compared = site.act("backup_diff", examples=5)

    assert price["tables"]["public.moods"]["filled"] == {"later": 1, "latest": 1}
    assert done["lost"]["public.moods"]["lost"] == 1
    assert compared["tables"]["public.moods"]["examples"] == {"changed": [{"mood": "bad"}]}
