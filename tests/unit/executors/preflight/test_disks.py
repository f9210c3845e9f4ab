"""Room on the file systems that a deployment writes to: which are asked, and what for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover.executors.preflight.disks import disks
from changeover.executors.preflight.facts import Disk, Server
from changeover.release.model import Requirement, Requirements

if TYPE_CHECKING:
    from changeover.executors.preflight.findings import Finding

GB = 10**9
ASKED = Requirements(minimum=Requirement(disk="10GB"), recommended=Requirement(disk="20GB"))
NOTHING_ASKED = Requirements()
PATHS = {
    "releases": "/opt/shop/releases",
    "uploads": "/var/lib/changeover/incoming",
    "backups": "/var/backups/changeover/shop",
    "database": "/srv/postgresql",
}


def found(
    *,
    groups: tuple[str, ...] = ("app", "db"),
    asked: Requirements = ASKED,
    size: int = 0,
    log: int = 0,
    migrates: bool = False,
    shared: bool = False,
    free: dict[str, int] | None = None,
) -> list[Finding]:
    """Return what is said of a host whose file systems have 30 GB free, but for some."""
    given = [
        Disk(
            purpose=purpose,
            path=path,
            free_bytes=(free or {}).get(purpose, 30 * GB),
            device=0 if shared else number,
        )
        for number, (purpose, path) in enumerate(PATHS.items())
    ]
    server = Server(version="15.8", size_bytes=size, log_bytes=log, migrates=migrates)
    return list(disks("web1", groups, given, asked, server))


@pytest.mark.parametrize("purpose", PATHS)
def test_each_file_system_is_named_with_what_is_free_and_needed(purpose: str) -> None:
    said = found(free={purpose: 9 * GB})

    assert [f.message for f in said if f.status == "red"] == [
        f"disk: 9.0 GB free under {PATHS[purpose]}, at least 10.0 GB is needed"
    ]
    assert len(said) == len(PATHS)


def test_below_the_recommendation_warns() -> None:
    assert [
        (f.status, f.message) for f in found(free={"backups": 15 * GB}) if f.status != "ok"
    ] == [
        (
            "warn",
            "disk: 15.0 GB free under /var/backups/changeover/shop, 20.0 GB is recommended",
        )
    ]


def test_places_that_share_a_file_system_are_told_once() -> None:
    (said,) = found(shared=True)

    assert said.status == "ok"
    assert all(path in said.message for path in PATHS.values())


@pytest.mark.parametrize(
    ("groups", "purposes"),
    [(("app",), ["releases", "uploads"]), (("db",), ["backups", "database"]), (("lb",), [])],
)
def test_a_host_is_asked_for_what_is_written_on_it(
    groups: tuple[str, ...], purposes: list[str]
) -> None:
    said = found(groups=groups)

    assert [f.message.split(" under ")[1].split(",")[0] for f in said] == [
        PATHS[purpose] for purpose in purposes
    ]


def test_the_measured_database_counts_for_its_backup_and_its_restore() -> None:
    said = found(size=28 * GB)

    copies = " for copies of the database (28.0 GB)"
    assert [(f.status, f.message) for f in said if f.message.endswith(copies)] == [
        ("ok", f"disk: 30.0 GB free under {PATHS['backups']}, 28.0 GB is needed{copies}"),
        (
            "red",
            f"disk: 30.0 GB free under {PATHS['database']}, at least 33.6 GB is needed{copies}",
        ),
    ]


def test_the_log_that_the_server_may_keep_is_told_where_it_may_not_fit() -> None:
    (said,) = found(groups=("db",), size=10 * GB, log=9 * GB, shared=True, asked=NOTHING_ASKED)
    assert said.status == "warn"
    assert "31.1 GB is needed where the log of the server comes to 9.1 GB" in said.message
    (said,) = found(groups=("db",), size=10 * GB, log=7 * GB, shared=True, asked=NOTHING_ASKED)
    assert said.status == "ok"


def test_both_copies_count_where_they_share_a_file_system() -> None:
    (said,) = found(groups=("db",), size=20 * GB, shared=True, asked=NOTHING_ASKED)

    assert said.status == "red"
    assert "at least 44.0 GB is needed for copies of the database (20.0 GB)" in said.message


def test_the_clone_of_a_rehearsal_counts_where_the_release_migrates() -> None:
    (said,) = found(groups=("db",), size=10 * GB, shared=True, asked=NOTHING_ASKED, migrates=True)

    assert said.status == "red"
    assert "at least 32.0 GB is needed for copies of the database (10.0 GB)" in said.message


def test_without_figures_and_without_a_database_nothing_is_said() -> None:
    assert found(groups=("app",), asked=NOTHING_ASKED) == []
