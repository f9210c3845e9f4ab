from __future__ import annotations

import fcntl
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from changeover.lab.locks import LabBusy, exclusive
from changeover.lab.overlay import mount_points, next_layer, prune
from changeover.lab.processes import ProcessRecord
from changeover.lab.state import CompanionState, HostState, LabState, load, save, write_private

if TYPE_CHECKING:
    from pathlib import Path


def test_a_state_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    process = ProcessRecord(pid=7, started=11, boot="b")
    state = LabState(name="lab", checkout="/c", subnet="10.64.0.0/24", topology="single")
    state.hosts["host1"] = HostState(
        name="host1",
        address="10.64.0.11",
        groups=("lb", "app"),
        layers=("0001", "seed"),
        image="image-1",
        process=process,
    )
    state.snapshots["single"] = {"fresh": {"host1": ("seed",)}}
    state.companions["c"] = CompanionState(name="c", port=1, process=None, digest="d")
    save(state, tmp_path / "lab")
    assert load(tmp_path / "lab") == state
    assert load(tmp_path / "nothing") is None


def test_a_private_file_is_private_even_where_an_open_one_was(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_layers_are_numbered_on_and_unnamed_ones_removed(tmp_path: Path) -> None:
    for name in ("seed", "0001", "0002"):
        (tmp_path / "layers" / name).mkdir(parents=True)
        (tmp_path / "work" / name).mkdir(parents=True)
    assert next_layer(tmp_path) == "0003"
    prune(tmp_path, {"seed", "0002"})
    assert sorted(path.name for path in (tmp_path / "layers").iterdir()) == ["0002", "seed"]
    assert next_layer(tmp_path) == "0003"


def test_nothing_is_mounted_below_a_new_directory(tmp_path: Path) -> None:
    assert mount_points(tmp_path) == ()


def test_a_lock_is_held_by_one_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("changeover.lab.locks.LOCKS", tmp_path)
    with exclusive("x", seconds=1):
        with pytest.raises(LabBusy) as busy, exclusive("x", seconds=0.2):
            pass
        assert busy.value.exit_code == 5
        with exclusive("y", seconds=0.2):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_on_a_file_that_its_last_holder_removed_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "changeover-x.lock"
    taken: list[int] = []

    def take_late(descriptor: int, operation: int) -> None:
        if not taken:
            file.unlink()
        taken.append(descriptor)
        flock(descriptor, operation)

    flock = fcntl.flock
    monkeypatch.setattr("changeover.lab.locks.LOCKS", tmp_path)
    monkeypatch.setattr("changeover.lab.locks.fcntl.flock", take_late)
    with exclusive("x", seconds=5):
        assert file.exists()
    assert len(taken) == 2


def test_processes_take_turns_under_a_lock(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from changeover.lab import locks
        locks.LOCKS = Path(sys.argv[1])
        counter = locks.LOCKS.parent / "counter"
        for _ in range(25):
            with locks.exclusive("x", seconds=30):
                seen = int(counter.read_text())
                time.sleep(0.001)
                counter.write_text(str(seen + 1))
        """
    )
    (tmp_path / "counter").write_text("0")
    words = [sys.executable, "-c", program, str(tmp_path / "locks")]
    runs = [subprocess.Popen(words) for _ in range(3)]
    assert [run.wait(60) for run in runs] == [0, 0, 0]
    assert (tmp_path / "counter").read_text() == "75"
