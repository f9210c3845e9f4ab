"""What a struck run left is compared: the tables excuse what they name, and nothing beside it."""

from __future__ import annotations

import pytest
from tests.faults.condition import but_proved, comparable, differences, left_by_power, taken_back

BACKUP = "host1 entry /var/backups/changeover/shop/ID drwxr-x--- 0:105"
PROVED = "host1 file /var/backups/changeover/shop/ID/proved.json -rw------- 0:0"
MIGRATION = "host1 migration|2.0.0/expand/001_tags|2.0.0|expand|abc|applied|1"
BEFORE = [
    "host1 link /run/shop/current -> 1.0.0-aaaaaaaa",
    'host1 file /var/lib/changeover/shop/live.json -rw------- 0:0 "{\\"pending\\": null}"',
    "host1 schema CREATE TABLE public.orders (",
    "host1 schema     id bigint NOT NULL",
    "host1 schema );",
    "host1 schema in order 11",
]
COLOUR = ["host1 entry /opt/shop/releases/2.0.0-bbbbbbbb drwxr-xr-x 0:0"]
AFTER = [
    "host1 link /run/shop/current -> 2.0.0-bbbbbbbb",
    *BEFORE[1:3],
    "host1 schema     id bigint NOT NULL,",
    "host1 schema     tags text[] DEFAULT '{}'::text[]",
    "host1 schema );",
    "host1 schema in order 22",
    MIGRATION,
    *COLOUR,
    BACKUP,
    PROVED,
]


def changed(instead: str, line: str) -> list[str]:
    return [instead if each == line else each for each in BEFORE]


def test_what_is_as_before_does_not_differ() -> None:
    assert taken_back(BEFORE, AFTER, BEFORE) == []


@pytest.mark.parametrize(
    "more",
    [
        [BACKUP, PROVED],
        [MIGRATION, "host1 schema     tags text[] DEFAULT '{}'::text[]"],
        [MIGRATION, "host1 schema     tags text[]"],
        ["host1 file /var/lib/changeover/shop/agent.lock -rw------- 0:0"],
    ],
)
def test_a_proved_backup_and_what_migrations_add_may_stay(more: list[str]) -> None:
    assert taken_back(BEFORE, AFTER, [*BEFORE, *more]) == []


@pytest.mark.parametrize(
    "more",
    [
        BACKUP,
        "host1 link /run/shop/next -> 2.0.0-bbbbbbbb",
        "host1 unit Id=changeover-deadman-shop-1.timer ActiveState=active",
        "host1 timer changeover-deadman-shop-1.timer",
        "host1 process node src/server.js",
        "host1 session changeover of shop_owner shop",
        "host1 advisory lock 77",
        "host1 invalid index orders_tags",
        "host1 database shop_side of shop_owner open true limit -1",
        "host1 migration|2.0.0/expand/001_tags|2.0.0|expand|abc|running|1",
        "host1 schema CREATE TABLE public.half (",
        "host1 server app/host1 1",
        COLOUR[0],
    ],
)
def test_what_is_left_beyond_that_differs(more: str) -> None:
    assert taken_back(BEFORE, AFTER, [*BEFORE, more]) != []


@pytest.mark.parametrize("line", [each for each in BEFORE if " in order " not in each])
def test_what_is_missing_differs(line: str) -> None:
    assert taken_back(BEFORE, AFTER, [each for each in BEFORE if each != line]) != []


def test_a_schema_that_is_of_neither_side_differs() -> None:
    found = changed("host1 schema     id integer NOT NULL", BEFORE[3])

    assert taken_back(BEFORE, AFTER, found) == [
        "- host1 schema     id bigint NOT NULL",
        "+ host1 schema     id integer NOT NULL",
    ]


def test_a_colour_may_stay_where_it_is_whole_and_inert() -> None:
    assert taken_back(BEFORE, AFTER, [*BEFORE, *COLOUR], inert=True) == []
    part = "host1 entry /opt/shop/releases/2.0.0-bbbbbbbb/part drwxr-xr-x 0:0"
    whole = [*AFTER, part]

    assert taken_back(BEFORE, whole, [*BEFORE, *COLOUR], inert=True) != []


def test_only_what_each_run_has_of_its_own_is_made_equal() -> None:
    line = "h file /var/lib/changeover/shop/live.json -rw 0:0 20260115T101500-3fa2c1 2026-01-15T10:15:00Z"

    assert comparable(line) == "h file /var/lib/changeover/shop/live.json -rw 0:0 ID TIME"
    assert differences([comparable(line)], [comparable(line.replace("live", "lost"))]) != []


HALF = "host1 entry /var/backups/changeover/shop/ID.partial drwxr-x--- 0:105"


def test_half_a_backup_differs_beside_one_that_is_proved() -> None:
    assert taken_back(BEFORE, AFTER, [*BEFORE, BACKUP, PROVED, HALF]) == [f"+ {HALF}"]
    assert but_proved([f"+ {each}" for each in (BACKUP, PROVED, HALF)], 1) == [f"+ {HALF}"]


def test_a_run_that_goes_on_anew_makes_one_backup_more_and_no_other() -> None:
    more = [f"+ {BACKUP}", f"+ {PROVED}"]

    assert but_proved(more, 1) == []
    assert but_proved(more, 0) == more
    assert but_proved(more * 2, 1) == more * 2
    assert but_proved(more[:1], 1) == more[:1]


RUNTIME = "host1 entry /run/shop/2.0.0-bbbbbbbb drwxr-x--- 9:9"
DRAINED = "host1 file /run/shop/2.0.0-bbbbbbbb/drained.json -rw-rw---- 9:9 {}"


def test_an_inert_colour_leaves_in_run_what_it_has_where_it_is_live_and_how_it_was_drained() -> (
    None
):
    whole = [*AFTER, RUNTIME]

    assert taken_back(BEFORE, whole, [*BEFORE, *COLOUR, RUNTIME, DRAINED], inert=True) == []


@pytest.mark.parametrize(
    "more",
    [
        RUNTIME.replace("drwxr-x---", "drwxrwxrwx"),
        RUNTIME.replace("2.0.0-bbbbbbbb", "3.0.0-cccccccc"),
        DRAINED.replace("2.0.0-bbbbbbbb", "3.0.0-cccccccc"),
        RUNTIME.replace("bbbbbbbb ", "bbbbbbbb/http.sock "),
    ],
)
def test_what_is_in_run_beyond_that_differs(more: str) -> None:
    whole = [*AFTER, RUNTIME, "host1 entry /run/shop/2.0.0-bbbbbbbb/http.sock srw-rw---- 9:9"]

    assert taken_back(BEFORE, whole, [*BEFORE, *COLOUR, more], inert=True) == [f"+ {more}"]


def test_what_a_colour_left_that_was_placed_before_may_stay_where_it_ran() -> None:
    ran = [RUNTIME, DRAINED]
    whole = [*AFTER, RUNTIME]

    assert taken_back([*BEFORE, *COLOUR], whole, [*BEFORE, *COLOUR, *ran]) == []
    assert taken_back(BEFORE, whole, [*BEFORE, *ran]) == sorted(f"+ {line}" for line in ran)


LOCK = "+ h file /var/lib/changeover/shop/lock.json -rw 0:0 x"
TOLD = "warning: the lease ends by itself within 120 s"


def test_the_power_takes_nothing_of_a_disk() -> None:
    gone = ["- h listens /run/shop/1.0.0-aaaaaaaa/http.sock", LOCK]
    lost = [
        "- h file /var/lib/changeover/shop/live.json -rw 0:0 x",
        "+ h listens /run/shop/http.sock",
    ]

    assert left_by_power([*gone, *lost], AFTER, TOLD) == lost


@pytest.mark.parametrize(
    "line",
    [
        "- h listens /run/shop/2.0.0-bbbbbbbb/http.sock",
        "- h unit Id=shop-web@2.0.0-bbbbbbbb.service ActiveState=active",
        "- h link /run/shop/current -> 2.0.0-bbbbbbbb",
    ],
)
def test_a_boot_brings_back_all_of_the_live_colour(line: str) -> None:
    assert left_by_power([line], AFTER, TOLD) == [line]


def test_a_lease_that_nobody_told_of_differs_also_without_power() -> None:
    assert left_by_power([LOCK], AFTER, "2.0.0 serves") == [LOCK]
