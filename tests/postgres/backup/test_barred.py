"""What may bar the way back on the server itself: a write freeze, and roles that are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres


def test_a_write_freeze_of_the_server_keeps_nobody_from_going_back(site: Site) -> None:
    site.create()
    site.shop.rows("DELETE FROM orders")
    run = site.shop.server.run
    run("ALTER SYSTEM SET default_transaction_read_only = on")
    try:
        run("SELECT pg_reload_conf()")
        site.act("backup_verify", backup="one")
        site.act("backup_restore", backup="one")
    finally:
        run("ALTER SYSTEM RESET default_transaction_read_only")
        run("SELECT pg_reload_conf()")

    assert site.shop.rows("SELECT count(*) FROM orders") == [(3000,)]


def test_roles_that_are_gone_are_named_before_anything_is_restored(site: Site) -> None:
    one, other = f"{site.shop.name}_reader", f"{site.shop.name}_owner_of_audit"
    site.shop.rows(
        f"CREATE ROLE {one}; CREATE ROLE {other}; GRANT SELECT ON users TO {one};"
        f"ALTER TABLE audit OWNER TO {other}"
    )
    site.create()
    site.act("backup_verify", backup="one")
    for gone in (one, other):
        site.shop.rows(
            f"REASSIGN OWNED BY {gone} TO postgres; DROP OWNED BY {gone}; DROP ROLE {gone}"
        )

    for action in ("backup_restore", "backup_verify"):
        with pytest.raises(ActionError) as caught:
            site.act(action, backup="one")
        assert caught.value.error == "roles-missing"
        assert caught.value.detail["roles"] == sorted([one, other])

    assert site.databases() == {site.shop.name}
    (listed,) = site.act("backup_list")["backups"]
    assert listed["proved"] is None
