"""What pgBackRest's words come to, which backup a recovery begins with, and what a sweep ends."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from changeover.agent.backup.store import Store, write_sealed
from changeover.agent.failure import ActionError
from changeover.agent.physical import recovery, scratch, state
from changeover.agent.physical.pgbackrest import Archive
from changeover.agent.postgres.tools import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ARCHIVE = Archive(stanza="main", repository="backup1", apart=True, server=Server())
NOON = 1767268800  # 2026-01-01T12:00:00Z


def backup(label: str, stop: int, lsn: str) -> dict[str, Any]:
    return {"label": label, "timestamp": {"stop": stop}, "lsn": {"stop": lsn}}


BACKUPS = [backup("first", NOON, "0/9000000"), backup("second", NOON + 3600, "0/A0000000")]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("ERROR: [049]: unable to connect to '10.0.0.7:8432': Connection refused", "repository-unreachable"),
        ("other\n[HostConnectError] unable to connect to '10.0.0.7:8432'", "repository-unreachable"),
        ("ERROR: [029]: unable to load info file\nHINT: has a stanza-create been performed?", "passphrase-wrong"),
        ("ERROR: [095]: cipher header invalid", "passphrase-wrong"),
        ("other\n[FormatError] unable to load info file: key/value found outside of section", "passphrase-wrong"),
        ("ERROR: [055]: unable to load info file\nHINT: has a stanza-create been performed?", "no-stanza"),
        ("ERROR: [050]: unable to acquire lock on file", "physical-busy"),
        ("ERROR: [082]: WAL segment 000000010000000000000017 was not archived", "archive-failing"),
        ("ERROR: [104]: whatever else", "physical-failed"),
    ],
)  # fmt: skip
def test_each_of_its_failures_has_a_name(said: str, error: str) -> None:
    assert ARCHIVE.failure(said).error == error


def test_what_it_took_for_text_is_not_quoted() -> None:
    cause = ARCHIVE.failure("ERROR: [029]: unable to load\n\ufffd\ufffd7i\ufffd\nHINT: see").cause

    assert cause == "ERROR: [029]: unable to load\nHINT: see"


@pytest.mark.parametrize(
    ("at", "label"),
    [("2026-01-01T12:00:01+00:00", "first"), ("2026-01-01T15:00:00+02:00", "first"),
     ("2026-01-01T13:00:00.5+00:00", "second"), ("2026-01-01T16:00:00+00:00", "second")],
)  # fmt: skip
def test_a_recovery_begins_with_the_newest_backup_before_the_moment(at: str, label: str) -> None:
    target = recovery.moment_of(at, NOON + 90000, BACKUPS)

    assert target.backup["label"] == label


@pytest.mark.parametrize(
    ("at", "error"),
    [("2026-01-01T11:59:59+00:00", "target-too-early"), ("2026-01-01T12:00:00+00:00", "target-too-early"),
     ("2026-01-01T12:30:01+00:00", "target-future")],
)  # fmt: skip
def test_a_moment_that_no_backup_is_before_or_that_is_to_come_is_refused(
    at: str, error: str
) -> None:
    with pytest.raises(ActionError) as caught:
        recovery.moment_of(at, NOON + 1800, BACKUPS)

    assert caught.value.error == error


def test_a_point_is_found_by_its_place_in_the_log_and_not_by_letters() -> None:
    point = {"name": "mine", "at": "2026-01-01T14:00:00Z", "lsn": "0/10000000"}

    assert recovery.point_of("mine", [point], BACKUPS).backup["label"] == "first"
    with pytest.raises(ActionError, match="there is no point other; the last ones: mine"):
        recovery.point_of("other", [point], BACKUPS)


def test_a_name_in_the_same_log_is_one_apps_alone(tmp_path: Path) -> None:
    stores = {
        name: Store(root=tmp_path / name, app=name, database=name, server=Server())
        for name in ("shop", "till")
    }
    for store in stores.values():
        store.root.mkdir()
    point = {"name": "cleanup", "at": "2026-01-01T14:00:00Z", "lsn": "0/1"}
    write_sealed(stores["shop"].root / state.POINTS, {"points": [point]})

    state.refuse_taken(stores["shop"], "cleanup")
    state.refuse_taken(stores["till"], "other")
    with pytest.raises(ActionError, match="shop has a point cleanup"):
        state.refuse_taken(stores["till"], "cleanup")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Yield two processes, one of which works in the scratch cluster's data directory."""
    data = tmp_path / "scratch/data"
    data.mkdir(parents=True)
    places = {"inside": data, "outside": tmp_path}
    started = {name: subprocess.Popen(["sleep", "60"], cwd=at) for name, at in places.items()}
    yield started
    for process in started.values():
        process.kill()
        process.wait()


@pytest.mark.parametrize(("whose", "ended"), [("inside", True), ("outside", False)])
def test_a_sweep_ends_the_cluster_that_was_left_and_nobody_who_has_its_number_now(
    tmp_path: Path, running: dict[str, subprocess.Popen[bytes]], whose: str, *, ended: bool
) -> None:
    root = tmp_path / "scratch"
    (root / "data/postmaster.pid").write_text(f"{running[whose].pid}\n{root / 'data'}\n")

    swept = scratch.sweep(root)

    assert swept
    assert not root.exists()
    if ended:
        running[whose].wait(10)
    assert (running[whose].poll() is not None) is ended
    assert not scratch.sweep(root)
