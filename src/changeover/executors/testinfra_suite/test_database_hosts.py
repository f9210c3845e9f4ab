"""Database hosts: where PostgreSQL listens, whom it lets in, and what the app may do."""

# ruff: noqa: S101, S608 - asserts are what a check is made of; names come from the app's declaration
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from changeover.executors.testinfra_suite.conftest import Server

GROUPS = ("db",)


def ask(root: Server, database: str, sql: str) -> str:
    """Return what the server answers to its superuser."""
    return root.output(f'runuser -u postgres -- psql -XAtq -d {database} -c "{sql}"')


def test_postgresql_runs_and_comes_back_after_a_boot(server: Server) -> None:
    """One cluster of PostgreSQL is active and enabled."""
    listed = server.output(
        "systemctl list-units --plain --no-legend --no-pager --state=active 'postgresql@*.service'"
    )
    units = [line.split()[0] for line in listed.splitlines()]

    assert len(units) == 1
    assert server.unit(units[0]) == "active enabled"


def test_postgresql_listens_inside_alone(server: Server) -> None:
    """Port 5432 is open on the private address and on loopback."""
    lines = server.output("ss -Htln 'sport = :5432'").splitlines()
    found = {line.split()[3].rpartition(":")[0] for line in lines}

    assert found <= {server.address, "127.0.0.1", "[::1]"}
    assert server.address in found


def test_nobody_enters_without_a_password(root: Server) -> None:
    """Over TCP each role comes from its own addresses with scram; the socket asks who you are."""
    rules = ask(
        root,
        "postgres",
        "SELECT type, array_to_string(user_name, ','), coalesce(address, ''), coalesce(netmask, ''),"
        " auth_method FROM pg_hba_file_rules WHERE error IS NULL ORDER BY line_number",
    )
    owners = {known["database"]["owner"] for known in root.apps.values() if known["database"]}
    for line in rules.splitlines():
        kind, roles, address, mask, method = line.split("|")
        if kind == "local":
            assert (roles, method) == ("postgres", "peer")
            continue
        if method == "reject":
            continue
        assert method == "scram-sha-256", line
        assert mask in {"255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, line
        if set(roles.split(",")) & owners:
            assert address == "127.0.0.1", line


def test_rules_file_has_no_errors(root: Server) -> None:
    """PostgreSQL reads all of pg_hba.conf."""
    assert ask(root, "postgres", "SELECT error FROM pg_hba_file_rules WHERE error <> ''") == ""


def test_app_role_cannot_change_the_schema(root: Server) -> None:
    """The app's role logs in and does no DDL; the owner's role is no superuser either."""
    for known in root.apps.values():
        database = known["database"]
        if database is None:
            continue
        roles = ask(
            root,
            database["name"],
            "SELECT rolname, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
            f" FROM pg_roles WHERE rolname IN ('{database['owner']}', '{database['role']}')",
        )
        rights = dict(line.split("|", 1) for line in roles.splitlines())
        assert set(rights) == {database["owner"], database["role"]}
        assert rights[database["role"]] == "f|f|f|f|f"
        assert rights[database["owner"]].startswith("f|")
        able = f"has_schema_privilege('{database['role']}', 'public', 'CREATE')"
        assert ask(root, database["name"], f"SELECT {able}") == "f"
        makes = f"has_database_privilege('{database['role']}', '{database['name']}', 'CREATE')"
        assert ask(root, database["name"], f"SELECT {makes}") == "f"


def test_passwords_are_kept_as_scram(root: Server) -> None:
    """No role keeps its password in an older form."""
    weak = "SELECT rolname FROM pg_authid WHERE rolpassword !~ '^SCRAM-SHA-256'"

    assert ask(root, "postgres", weak) == ""


def test_backups_are_closed(root: Server) -> None:
    """No backup can be read by anyone but root and postgres."""
    found = root.output(
        "find /var/backups/changeover -mindepth 2 -perm /007 ! -type l ! -name lock | head -n 3"
    )

    assert found == ""


def test_log_arrives_where_it_is_archived(root: Server) -> None:
    """Where the log is archived, no file of it was refused since the last one that was taken."""
    refused = ask(
        root,
        "postgres",
        "SELECT last_failed_wal FROM pg_stat_archiver WHERE current_setting('archive_mode') <> 'off'"
        " AND last_failed_time > coalesce(last_archived_time, '-infinity')",
    )

    assert refused == ""
