from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.lab.processes import (
    ProcessRecord,
    is_alive,
    kill_tree,
    record,
    signal_process,
    spawn,
    wait_for_end,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

import pytest

PATH = {"PATH": os.environ["PATH"]}


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[ProcessRecord]:
    process = spawn(["sleep", "60"], log=tmp_path / "log", directory=tmp_path, environment=PATH)
    assert process is not None
    yield process
    kill_tree(process, 5)


def test_a_process_is_known_until_it_ends(sleeper: ProcessRecord) -> None:
    assert is_alive(sleeper)
    assert signal_process(sleeper, signal.SIGTERM)
    assert wait_for_end(sleeper, 5)
    assert not is_alive(sleeper)
    assert record(sleeper.pid) is None


def test_a_process_that_ended_but_was_not_waited_for_has_ended() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert record(child.pid) is None
    assert child.wait(5) == 0


@pytest.mark.parametrize("other", [{"started": 1}, {"boot": "another-boot"}])
def test_another_process_under_the_same_id_is_never_signalled(
    sleeper: ProcessRecord, other: dict[str, object]
) -> None:
    known = {"pid": sleeper.pid, "started": sleeper.started, "boot": sleeper.boot}
    stranger = ProcessRecord(**{**known, **other})  # type: ignore[arg-type] # one field is replaced
    assert not is_alive(stranger)
    assert not signal_process(stranger, signal.SIGKILL)
    assert kill_tree(stranger, 1)
    assert is_alive(sleeper)


def test_what_a_process_started_ends_with_it(tmp_path: Path) -> None:
    script = "sleep 61 & echo $!; sh -c 'trap \"\" TERM; sleep 62' & wait"
    log = tmp_path / "log"
    process = spawn(["sh", "-c", script], log=log, directory=tmp_path, environment=PATH)
    deadline = time.monotonic() + 5
    while not log.read_text().strip() and time.monotonic() < deadline:
        time.sleep(0.05)
    child = record(int(log.read_text()))
    assert is_alive(child)
    assert kill_tree(process, 5)
    assert not is_alive(child)


def test_output_goes_to_a_private_file_and_the_session_is_its_own(tmp_path: Path) -> None:
    log = tmp_path / "log"
    words = ["sh", "-c", "echo said; echo wrong >&2; pwd"]
    wait_for_end(spawn(words, log=log, directory=tmp_path, environment=PATH), 5)
    assert log.read_text().split() == ["said", "wrong", str(tmp_path)]
    assert log.stat().st_mode & 0o777 == 0o600
    process = spawn(["sleep", "60"], log=log, directory=Path("/"), environment=PATH)
    assert process is not None
    assert os.getsid(process.pid) == process.pid
    kill_tree(process, 5)


def test_what_lives_on_keeps_no_file_of_its_starter_open(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)  # noqa: FBT003 - as the library has it
    process = spawn(
        ["sleep", "60"], log=tmp_path / "log", directory=tmp_path, environment={"PATH": os.defpath}
    )
    assert process is not None
    os.close(writer)
    try:
        assert os.read(reader, 1) == b""
        assert is_alive(process)
    finally:
        os.close(reader)
        signal_process(process, signal.SIGKILL)
