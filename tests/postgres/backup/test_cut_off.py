"""A restore that dies between its two renames, alone or with all around it, and who comes next."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.postgres.backup.stall import SWAPPING, Stall, answers, gone
from tests.postgres.moments import until

from changeover.agent.backup import gate
from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.backup.conftest import Site

pytestmark = pytest.mark.postgres


@pytest.fixture
def stalled(site: Site) -> Iterator[tuple[Site, Stall, Any, list[int]]]:
    """Give a restore that stands between its two renames, rows written since the backup."""
    site.create()
    site.shop.rows("INSERT INTO audit VALUES ('since')")
    with Stall(site) as stall:
        agent = site.agent("backup_restore", backup="one")
        yield site, stall, agent, stall.reached()


Stalled = tuple["Site", Stall, Any, list[int]]


def told(site: Site) -> Any:  # noqa: ANN401 - JSON
    return site.act("backup_list")["unfinished"]


def test_a_swap_goes_on_without_its_agent_and_the_rerun_says_what_it_did(
    stalled: Stalled,
) -> None:
    site, stall, agent, _ = stalled
    enterable = f"SELECT datallowconn FROM pg_database WHERE datname = '{site.shop.name}'"  # noqa: S608
    assert site.shop.server.run(enterable) == [(False,)], "nobody may enter while names change"
    assert not answers(site)
    site.act("backup_list")
    assert not answers(site), "who asks while it is under way leaves it alone"
    agent.kill()
    stall.release()
    until(lambda: answers(site))
    assert site.shop.value("SELECT count(*) FROM audit") == 10
    site.shop.rows("INSERT INTO audit VALUES ('written on the restored one')")
    assert (told(site)["backup"], told(site)["live"]) == ("one", True)

    done = site.agent("backup_restore", backup="one", deployment="another").last()

    assert done["type"] == "done", done
    assert done["result"]["resumed"]
    assert done["result"]["rows_lost"] == 1
    assert site.databases() == {site.shop.name, done["result"]["kept"]}
    assert site.shop.value("SELECT count(*) FROM audit") == 11, "what users wrote since stays live"
    site.act("backup_told", backup="one")
    assert told(site) is None


def test_a_restore_that_was_cut_off_is_not_passed_off_as_one_after_the_definitions_changed(
    stalled: Stalled,
) -> None:
    site, stall, agent, _ = stalled
    agent.kill()
    stall.release()
    until(lambda: answers(site))
    site.shop.rows("ALTER TABLE audit ADD COLUMN at timestamptz")

    done = site.agent("backup_restore", backup="one", deployment="another").last()

    assert done["error"] == "restored-before"
    assert "rows left behind: 1" in done["message"]
    again = site.agent("backup_restore", backup="one", deployment="third").last()
    assert (again["type"], again["result"]["resumed"]) == ("done", False), again
    assert len(site.databases()) == 3


def test_the_rows_that_a_restore_left_that_was_cut_off_are_counted_before_another_backups(
    stalled: Stalled,
) -> None:
    site, stall, agent, _ = stalled
    agent.kill()
    stall.release()
    until(lambda: answers(site))
    site.create("two")

    done = site.agent("backup_restore", backup="two").last()["result"]

    assert (done["rows_lost"], done["earlier"]["backup"]) == (0, "one")
    assert done["earlier"]["rows_lost"] == 1
    assert site.databases() == {site.shop.name, done["kept"], done["earlier"]["kept"]}


@pytest.mark.parametrize("killed", ["session", "process"])
def test_a_swap_whose_session_or_process_dies_opens_the_gate_again_and_says_so(
    stalled: Stalled, killed: str
) -> None:
    site, stall, agent, processes = stalled
    if killed == "session":
        site.shop.server.run(f"SELECT pg_terminate_backend(pid) {SWAPPING}")
    else:
        for process in processes:
            os.kill(process, signal.SIGKILL)
    stall.release()

    failed = agent.last()

    assert answers(site)
    assert failed["error"] == "swap-failed"
    assert "is as it was and open" in failed["message"]
    assert site.shop.value("SELECT count(*) FROM audit") == 11
    assert told(site) is None


def test_a_gate_that_was_left_shut_by_all_that_died_is_opened_by_whoever_asks_next(
    stalled: Stalled,
) -> None:
    site, stall, agent, processes = stalled
    agent.kill()
    for process in processes:
        os.kill(process, signal.SIGKILL)
    stall.release()
    until(lambda: gone(site))
    assert site.shop.name in site.databases(), "both renames or none"
    assert not answers(site)

    assert told(site) is None, "nothing was exchanged"

    assert answers(site)
    assert site.shop.value("SELECT count(*) FROM audit") == 11
    done = site.agent("backup_restore", backup="one").last()
    assert done["type"] == "done", done
    assert done["result"]["warm"], "what was restored before the crash is not restored again"
    assert done["result"]["rows_lost"] == 1
    assert site.shop.value("SELECT count(*) FROM audit") == 10


def test_a_server_that_crashes_between_the_renames_is_waited_for_and_opened(
    stalled: Stalled,
) -> None:
    site, stall, agent, _ = stalled
    site.shop.server.stop(signal.SIGQUIT)
    stall.release()
    site.shop.server.start()

    assert agent.last()["error"] == "swap-failed"

    assert answers(site)
    assert site.shop.value("SELECT count(*) FROM audit") == 11
    done = site.agent("backup_restore", backup="one").last()
    assert done["type"] == "done", done
    assert done["result"]["rows_lost"] == 1


def test_a_server_that_does_not_come_back_leaves_open_what_is_live_until_somebody_asks(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "SERVER_SECONDS", 0)
    site.create()
    said: list[ActionError] = []

    def restore() -> None:
        with pytest.raises(ActionError) as caught:
            site.act("backup_restore", backup="one")
        said.append(caught.value)

    with Stall(site) as stall:
        restoring = threading.Thread(target=restore)
        restoring.start()
        stall.reached()
        site.shop.server.stop(signal.SIGQUIT)
        stall.release()
        restoring.join()
    site.shop.server.start()

    assert said[0].error == "swap-unknown"
    assert "may refuse connections" in said[0].message
    assert not answers(site)
    assert told(site) is None, "nothing was exchanged"
    assert answers(site)


def test_a_live_name_that_is_missing_is_given_to_the_restored_database(stalled: Stalled) -> None:
    site, stall, agent, processes = stalled
    agent.kill()
    for process in processes:
        os.kill(process, signal.SIGKILL)
    stall.release()
    until(lambda: gone(site))
    kept = f"{site.shop.name}_failed_by_hand"
    site.shop.server.run(f"ALTER DATABASE {site.shop.name} RENAME TO {kept}")

    done = site.agent("backup_restore", backup="one").last()

    assert done["type"] == "done", done
    assert answers(site)
    assert site.shop.value("SELECT count(*) FROM audit") == 10
    assert done["result"]["resumed"]
    assert (done["result"]["kept"], done["result"]["rows_lost"]) == (kept, 1)


def test_another_backup_is_restored_after_the_unfinished_one_is_finished(
    stalled: Stalled,
) -> None:
    site, stall, agent, processes = stalled
    agent.kill()
    for process in processes:
        os.kill(process, signal.SIGKILL)
    stall.release()
    until(lambda: gone(site))
    site.act("backup_list")

    done = site.agent("backup_restore", backup="two").last()
    assert done["error"] == "backup-unknown"
    done = site.agent("backup_restore", backup="one", deployment="another").last()
    assert done["type"] == "done", done
    assert answers(site)


def test_a_restore_that_was_answered_and_not_told_is_given_again_until_it_is(site: Site) -> None:
    site.create()
    site.shop.rows("INSERT INTO audit VALUES ('left behind')")
    first = site.act("backup_restore", backup="one", told=False)
    site.shop.rows("INSERT INTO audit VALUES ('since')")

    again = site.act("backup_restore", backup="one", told=False)
    site.act("backup_told", backup="another")
    third = site.act("backup_restore", backup="one", told=False)
    site.act("backup_told", backup="one")

    assert [each["resumed"] for each in (first, again, third)] == [False, True, True]
    assert first["kept"] == again["kept"] == third["kept"]
    assert first["rows_lost"] == again["rows_lost"] == 1
    assert site.shop.value("SELECT count(*) FROM audit WHERE line = 'since'") == 1
    assert site.databases() == {site.shop.name, first["kept"]}
    assert site.act("backup_list")["unfinished"] is None
    assert site.act("backup_restore", backup="one")["resumed"] is False
