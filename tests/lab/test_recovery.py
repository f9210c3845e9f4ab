"""A deployment that was cut off: its lock keeps others out, and it can be finished or taken back."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest

from .live import back_to_live

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from .conftest import Lab

pytestmark = pytest.mark.lab
STEP_SECONDS = 300


@pytest.fixture(scope="module", autouse=True)
def left_as_found(live_single: Lab) -> Iterator[None]:
    """Give the host back as the other tests expect it: with nothing placed but what is live."""
    yield
    back_to_live(live_single)


def host_state(lab: Lab) -> dict[str, object]:
    lines = lab.changeover("status", "--env", str(lab.inventory), "--json").stdout.splitlines()
    found = [json.loads(line) for line in lines]
    state: dict[str, object] = next(entry for entry in found if entry["type"] == "host")
    return state


def cut_off(lab: Lab, step: str, number: signal.Signals) -> int:
    """Start a deployment of 8.0.0 and end its controller as soon as a step has begun."""
    with begun(lab, "deploy", "8.0.0", "--yes") as process:
        deadline = time.monotonic() + STEP_SECONDS
        for line in process.stdout or ():
            event = json.loads(line)
            if event["type"] == "step-intent" and event["step"] == step:
                process.send_signal(number)
                break
            assert time.monotonic() < deadline, f"{step} did not begin"
        return process.wait(timeout=120)


def begun(lab: Lab, *words: str) -> subprocess.Popen[str]:
    return lab.begin(*words, "--env", str(lab.inventory))


def placed(lab: Lab) -> list[object]:
    found = host_state(lab)["placed"]
    assert isinstance(found, list)
    return found


def dead_man_is_armed(lab: Lab) -> bool:
    return "changeover-deadman" in lab.ssh("host1", "systemctl list-timers --plain --no-legend")


def changeover(lab: Lab, *words: str, status: int = 0) -> str:
    done = lab.changeover(*words, "--env", str(lab.inventory), status=status)
    return done.stdout + done.stderr


def test_a_killed_deployment_keeps_others_out_and_is_finished_by_resume(live_single: Lab) -> None:
    assert cut_off(live_single, "start", signal.SIGKILL) == -signal.SIGKILL
    assert str(host_state(live_single)["live"]).startswith("7.0.0-")
    assert "holds the lock" in changeover(live_single, "deploy", "8.0.0", "--yes", status=5)

    changeover(live_single, "resume", "--force")

    state = host_state(live_single)
    assert str(state["live"]).startswith("8.0.0-")
    assert state["live"] == state["confirmed"]
    assert state["lock"] is None
    changeover(live_single, "smoke")
    changeover(live_single, "rollback")


def test_an_interrupted_deployment_ends_with_130_and_is_taken_back_by_abort(
    live_single: Lab,
) -> None:
    before = host_state(live_single)
    assert cut_off(live_single, "preview", signal.SIGTERM) == 130
    assert host_state(live_single)["live"] == before["live"]

    changeover(live_single, "abort")

    state = host_state(live_single)
    assert (state["live"], state["confirmed"]) == (before["live"], before["confirmed"])
    assert state["lock"] is None
    assert state["running"] == [before["live"]]
    changeover(live_single, "smoke")


def test_a_controller_killed_after_the_switch_is_taken_back_by_the_host_itself(
    live_single: Lab,
) -> None:
    before = host_state(live_single)
    assert cut_off(live_single, "smoke", signal.SIGKILL) == -signal.SIGKILL
    deadline = time.monotonic() + STEP_SECONDS
    while host_state(live_single)["live"] != before["live"]:
        assert time.monotonic() < deadline, "the dead-man did not act"
        time.sleep(5)

    changeover(live_single, "smoke")
    changeover(live_single, "abort", "--force")
    assert host_state(live_single)["lock"] is None


def test_a_deployment_that_was_cut_off_after_its_switch_is_finished_by_resume(
    live_single: Lab,
) -> None:
    assert cut_off(live_single, "smoke", signal.SIGTERM) == 130
    assert str(host_state(live_single)["live"]).startswith("8.0.0-")
    assert dead_man_is_armed(live_single)

    changeover(live_single, "resume", "--force")

    state = host_state(live_single)
    assert str(state["live"]).startswith("8.0.0-")
    assert (state["live"], state["lock"]) == (state["confirmed"], None)
    assert not dead_man_is_armed(live_single)
    changeover(live_single, "rollback")


def test_a_deployment_that_was_cut_off_after_it_was_confirmed_is_not_aborted_but_ended(
    live_single: Lab,
) -> None:
    assert cut_off(live_single, "drain", signal.SIGTERM) == 130
    refused = changeover(live_single, "abort", "--force", status=2)
    assert "8.0.0 was confirmed before the deployment stopped" in refused
    assert "changeover resume" in refused
    assert "changeover rollback" in refused

    changeover(live_single, "resume", "--force")

    state = host_state(live_single)
    assert str(state["live"]).startswith("8.0.0-")
    assert str(state["previous"]).startswith("7.0.0-")
    assert state["lock"] is None
    changeover(live_single, "rollback")
    assert str(host_state(live_single)["live"]).startswith("7.0.0-")


def test_a_deployment_that_was_cut_off_after_it_was_confirmed_is_taken_back_by_rollback(
    live_single: Lab,
) -> None:
    assert cut_off(live_single, "drain", signal.SIGTERM) == 130
    assert str(host_state(live_single)["confirmed"]).startswith("8.0.0-")

    assert "7.0.0 serves again, proved" in changeover(live_single, "rollback")

    assert host_state(live_single)["lock"] is None


def test_an_interrupt_says_what_serves_and_the_next_command(live_single: Lab) -> None:
    with begun(live_single, "deploy", "8.0.0", "--yes") as process:
        for line in process.stdout or ():
            if json.loads(line).get("step") == "confirm":
                process.send_signal(signal.SIGINT)
                break
        last = [json.loads(line) for line in process.stdout or ()][-1]

    assert (process.returncode, last["exit"]) == (130, 130)
    assert last["message"].startswith("interrupted at confirm: users may be on 8.0.0; a host that")
    assert "goes back to 7.0.0 by itself within 152 s" in last["message"]
    # The host may have heard of the confirmation already, and the message leaves that open.
    heard = str(host_state(live_single)["confirmed"]).startswith("8.0.0-")
    changeover(live_single, *(["rollback", "--to", "7.0.0"] if heard else ["abort", "--force"]))
    assert str(host_state(live_single)["live"]).startswith("7.0.0-")


def test_an_output_that_nobody_reads_any_more_ends_no_deployment(live_single: Lab) -> None:
    with begun(live_single, "deploy", "8.0.0", "--yes") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read() if process.stderr else ""

    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert "BrokenPipe" not in said
    assert str(host_state(live_single)["confirmed"]).startswith("8.0.0-")
    changeover(live_single, "rollback")


def test_a_version_that_is_on_no_host_is_placed_again_to_go_back_to(live_single: Lab) -> None:
    assert not any(str(each).startswith("6.0.0-") for each in placed(live_single))

    said = changeover(live_single, "rollback", "--to", "6.0.0")

    assert "6.0.0 is on no host any more" in said
    assert "6.0.0 serves again, proved" in said
    assert str(host_state(live_single)["confirmed"]).startswith("6.0.0-")
    changeover(live_single, "rollback", "--to", "7.0.0")


def test_a_version_that_the_database_is_past_is_refused_and_nothing_is_moved(
    live_single: Lab,
) -> None:
    changeover(live_single, "deploy", "8.0.0", "--yes")
    changeover(live_single, "finalize", "--yes")
    before = host_state(live_single)

    said = changeover(live_single, "rollback", "--to", "7.0.0", status=2)

    assert "7.0.0 cannot run on this database any more: 8.0.0/contract/" in said
    assert "the way back is restore: 8.0.0/contract/" in said
    assert "changeover backup restore 2" in said
    assert host_state(live_single) == before
