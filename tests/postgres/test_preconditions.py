"""Preconditions of a release: asked of the live data, told row by row, and never changing it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from changeover.cli import smoke
from changeover.cli.desk import Desk
from changeover.cli.output import Output
from changeover.errors import ChangeoverError
from changeover.executors import migrate, preflight
from changeover.executors.migrate.data import preconditions as asking
from changeover.executors.preflight import PreflightOutcome
from changeover.release import Precondition
from changeover.runner import database
from changeover.runner.deployment import preconditions, requirements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.conftest import Shop

    from changeover.database import Database

pytestmark = pytest.mark.postgres

USED = """
CREATE TABLE uses (route text, client text, last_used timestamptz);
INSERT INTO uses SELECT '/old/' || n, 'client ' || c, '2026-03-01 10:00:00+00'
FROM generate_series(1, 2) AS n, generate_series(1, n) AS c;
"""
NOBODY = Precondition(
    id="nobody-uses-what-goes",
    summary="nobody has used a route that goes",
    rows="SELECT route, count(*) AS clients, max(last_used)::date AS last_used FROM uses"
    " WHERE route LIKE '/old/%' GROUP BY route ORDER BY route; -- by route",
    says="{route}: {clients} clients, last on {last_used}",
    hint="ask those who still do",
)


def condition(rows: str, says: str | None = None, name: str = "none") -> Precondition:
    return Precondition(id=name, summary="there is none", rows=rows, says=says, hint="look")


def answer(shop: Shop, asked: Precondition) -> migrate.Answer:
    (found,) = migrate.answered(shop.owner, (asked,))
    return found


def by_owner(shop: Shop, statements: str) -> None:
    shop.rows(f"SET ROLE {shop.owner.user}; {statements}")


def test_every_row_is_a_reason_told_in_the_release_s_words(shop: Shop) -> None:
    by_owner(shop, USED)

    found = answer(shop, NOBODY)

    assert (found.state, found.number) == ("broken", 2)
    assert found.rows == (
        "/old/1: 1 clients, last on 2026-03-01",
        "/old/2: 2 clients, last on 2026-03-01",
    )
    by_owner(shop, "DELETE FROM uses")
    assert answer(shop, NOBODY).state == "holds"


def test_rows_are_told_as_the_server_writes_them(shop: Shop) -> None:
    odd = "SELECT 'infinity'::date AS day, NULL AS who, true AS yes, E'a\\nb\\x1b[31m' AS said"

    found = answer(shop, condition(odd))

    assert found.rows == ("day=infinity, who=null, yes=t, said=a b [31m",)
    (told,) = answer(shop, condition("SELECT repeat('x', 9999) AS long")).rows
    assert told == f"{'long=' + 'x' * 195}..."


def test_many_rows_are_counted_and_the_first_are_told(shop: Shop) -> None:
    found = answer(shop, condition("SELECT n FROM generate_series(1, 100000) AS n", "row {n}"))

    assert found.number == 100000
    assert found.rows == tuple(f"row {n}" for n in range(1, asking.TOLD + 1))


def test_a_table_that_is_not_there_yet_is_told_and_on_an_empty_database_nothing(
    shop: Shop,
) -> None:
    found = answer(shop, NOBODY)
    assert (found.state, found.said) == ("empty", 'relation "uses" does not exist')

    by_owner(shop, "CREATE TABLE users (id int); INSERT INTO users VALUES (1)")
    found = answer(shop, NOBODY)
    assert (found.state, found.said) == ("absent", 'relation "uses" does not exist')


def test_a_query_that_takes_too_long_is_ended(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = condition("SELECT current_setting('statement_timeout') AS at_most")
    assert answer(shop, limit).rows == ("at_most=15s",)
    monkeypatch.setattr(asking, "DEADLINE", "SET LOCAL statement_timeout = '100ms'")

    slow, quick = migrate.answered(
        shop.owner, (condition("SELECT pg_sleep(60)"), condition("SELECT 1 AS n"))
    )

    assert (slow.state, slow.said) == ("slow", "canceling statement due to statement timeout")
    assert quick.rows == ("n=1",)


def test_what_is_asked_changes_nothing(shop: Shop) -> None:
    by_owner(
        shop,
        "CREATE TABLE visits (id int); CREATE FUNCTION visit() RETURNS int LANGUAGE sql AS"
        " 'INSERT INTO visits VALUES (1) RETURNING id'",
    )
    writing = "SELECT set_config('transaction_read_only', 'off', true), visit()"

    for query in ("SELECT visit()", writing):
        found = answer(shop, condition(query))
        assert found.state == "unknown"
    assert answer(shop, condition("SELECT visit()")).said == (
        "cannot execute INSERT in a read-only transaction"
    )
    assert shop.value("SELECT count(*) FROM visits") == 0


def test_words_that_name_no_column_are_told_also_where_no_row_is_there(shop: Shop) -> None:
    found = answer(shop, condition("SELECT 1 AS route WHERE false", "{rute}: {route}"))

    assert (found.state, found.said) == ("unknown", "says names rute, and a row has route")


def test_rows_that_a_policy_hides_are_not_taken_for_none(shop: Shop) -> None:
    by_owner(shop, USED)
    by_owner(shop, "ALTER TABLE uses ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")

    found = answer(shop, NOBODY)

    assert found.state == "unknown"
    assert "row-level security" in found.said


@pytest.fixture
def desk(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the verb ask this database, and find nothing else wrong."""

    @contextlib.contextmanager
    def owner(*_: object) -> Iterator[Database]:
        yield shop.owner

    def opened(_env: str, _app: str | None, *, json_lines: bool) -> Desk:
        here: Any = SimpleNamespace(name="shop")
        return Desk(
            root=Path("/"), environment=here, app="shop", output=Output(json_lines=json_lines)
        )

    other = condition("SELECT 1 AS n", "number {n}", "no-number")
    release = SimpleNamespace(
        version="3.0.0",
        preconditions=(NOBODY, other),
        migrations=Path("/nowhere"),
        migrator=None,
        requires=None,
        environment=SimpleNamespace(variables={}),
    )
    monkeypatch.setattr(smoke, "open_desk", opened)
    monkeypatch.setattr(smoke, "declared", lambda *_: (SimpleNamespace(app="shop"), release))
    monkeypatch.setattr(database, "owner_database", owner)
    monkeypatch.setattr(database, "database_host", lambda *_: SimpleNamespace(name="db1"))
    nothing = PreflightOutcome(findings=(), seconds=0.0)
    monkeypatch.setattr(preflight, "apply", lambda *_, **__: nothing)
    monkeypatch.setattr(requirements, "_interpreter", lambda *_: None)
    monkeypatch.setattr(requirements, "_archive_findings", lambda *_: ())


def red(waived: list[str], *, json_lines: bool = False) -> ChangeoverError:
    with pytest.raises(ChangeoverError) as caught:
        smoke.preflight("3.0.0", waive=waived, json=json_lines)
    return caught.value


@pytest.mark.usefixtures("desk")
def test_preflight_is_red_for_each_that_is_not_met_and_not_waived(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    by_owner(shop, USED)

    error = red([])

    broken = (
        "not met: nobody has used a route that goes; 2 rows against it: /old/1: 1 clients, last on"
        " 2026-03-01; /old/2: 2 clients, last on 2026-03-01"
    )
    other = "not met: there is none; 1 row against it: number 1"
    assert error.exit_code == 6
    assert error.message == f"{broken} (and 1 more)"
    both = "--waive nobody-uses-what-goes --waive no-number goes on all the same"
    assert error.hint == f"ask those who still do; {both}"
    assert capsys.readouterr().out.splitlines() == [
        f"red  db1          nobody-uses-what-goes {broken}; next: {error.hint}",
        f"red  db1          no-number    {other}; next: look; {both}",
    ]


@pytest.mark.usefixtures("desk")
def test_what_is_waived_warns_and_waives_nothing_else(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    by_owner(shop, USED)

    error = red(["nobody-uses-what-goes"], json_lines=True)

    assert error.message == "not met: there is none; 1 row against it: number 1"
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    statuses = [(each["id"], each["status"]) for each in events if each["type"] == "check"]
    assert statuses == [("nobody-uses-what-goes", "warn"), ("no-number", "red")]
    assert events[1]["message"].startswith("waived: not met: nobody has used")
    assert events[1]["cause"].splitlines() == [
        "/old/1: 1 clients, last on 2026-03-01",
        "/old/2: 2 clients, last on 2026-03-01",
    ]

    smoke.preflight("3.0.0", waive=["nobody-uses-what-goes", "no-number"])
    assert "warn db1          no-number    waived: not met" in capsys.readouterr().out


@pytest.mark.usefixtures("desk")
def test_one_that_cannot_be_asked_is_red_with_what_to_do(shop: Shop) -> None:
    by_owner(shop, "CREATE TABLE users (id int); INSERT INTO users VALUES (1)")

    error = red(["no-number"])

    assert error.message == (
        'cannot be asked whether nobody has used a route that goes: relation "uses" does not exist'
    )
    assert error.hint.startswith("first deploy the release that brings it; --waive nobody-")
    smoke.preflight("3.0.0", waive=["no-number", "nobody-uses-what-goes"])


@pytest.mark.usefixtures("desk")
def test_on_an_empty_database_there_is_nobody_to_ask_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    smoke.preflight("3.0.0", waive=["no-number"])

    assert capsys.readouterr().out.splitlines()[0] == (
        "ok   db1          nobody-uses-what-goes nobody has used a route that goes; the database"
        " holds no rows"
    )


@pytest.mark.usefixtures("desk")
def test_a_waiver_of_what_nobody_declares_is_refused_with_what_there_is() -> None:
    error = red(["nobody-uses-what-go"])

    assert error.exit_code == 2
    assert error.message == (
        "--waive nobody-uses-what-go: no precondition is called so, did you mean"
        " nobody-uses-what-goes?"
    )
    assert error.hint == "name one of: nobody-uses-what-goes (3.0.0), no-number (3.0.0)"


def test_many_rows_take_one_line_and_the_cause_has_more(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "database_host", lambda *_: SimpleNamespace(name="db1"))
    monkeypatch.setattr(database, "owner_database", lambda *_: contextlib.nullcontext(shop.owner))
    rows = condition("SELECT n FROM generate_series(1, 30) AS n", "row {n}")
    release: Any = SimpleNamespace(version="3.0.0", preconditions=(rows,))
    nowhere: Any = SimpleNamespace(name="shop")

    (found,) = preconditions.findings(
        nowhere, nowhere, release, preconditions.asked_of(release, "2.0.0", ())
    )

    assert found.message.endswith("30 rows against it: row 1; row 2; row 3; and 27 more")
    assert (found.cause or "").splitlines()[-2:] == ["row 20", "and 10 more"]
    assert preconditions.asked_of(release, "3.0.0", ()).preconditions == ()
