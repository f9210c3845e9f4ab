"""An app's own migrator on a real host: as whom it runs, what is kept of it, and how it ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from .host import wait_for

if TYPE_CHECKING:
    import subprocess

    from .host import Site

pytestmark = pytest.mark.lab
SECRET = "open-sesame-please"
ENV = {"DATABASE_URL": f"postgresql://owner:{SECRET}@db/shop", "PGDATABASE": "shop"}
UNIT = "changeover-migrator-sample.service"
KEPT = "/var/lib/changeover/sample/migrator"
SHOWS = (
    "id -u; grep NoNewPrivs /proc/self/status; echo url $DATABASE_URL >&2;"
    " touch here 2>/dev/null || echo cannot write beside its code;"
    " ls /etc/changeover 2>&1 | head -n 1; exit 3"
)
WAITS = "echo begun; while ! test -e /run/sample/open; do sleep 0.05; done; echo opened"
LOUD = "seq 1 200000"


def placed(site: Site, script: str, deadline_seconds: int = 60, program: str = "/bin/sh") -> str:
    """Place a version whose migrator runs a script; return its colour."""
    migrator = {
        "command": [program, "-c", script],
        "status": None,
        "undo": None,
        "deadline_seconds": deadline_seconds,
    }
    return site.place("1.0.0", migrator=migrator)


def last_of(session: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return the agent's last line, once it has said it."""
    assert session.stdout
    answer: dict[str, Any] = json.loads(session.stdout.read().splitlines()[-1])
    return answer


def asked(colour: str) -> dict[str, Any]:
    return {
        "action": "migrator_run",
        "colour": colour,
        "what": "command",
        "purpose": "live",
        "env": ENV,
    }


def test_it_runs_as_a_user_of_its_own_and_its_secrets_leave_no_trace(site: Site) -> None:
    colour = placed(site, SHOWS)
    lines = site.ask(asked(colour))
    result = lines[-1]["result"]
    printed = site.do("migrator_output", what="command", purpose="live")["output"]

    assert (result["exit"], result["result"], result["adopted"]) == (3, "exit-code", False)
    told = [line["message"] for line in lines if line["type"] == "progress"]
    assert told == [f"| {line}" for line in printed.splitlines()]
    user, privileges, url, written, seen = printed.splitlines()
    assert int(user) not in {0, int(site.root("id -u sample"))}
    assert privileges.split() == ["NoNewPrivs:", "1"]
    assert url == "url [DATABASE_URL]"
    assert "cannot" in written
    assert "ermission denied" in seen
    traces = f"journalctl --no-pager; cat {KEPT}/* /var/lib/changeover/sample/journal.jsonl"
    assert site.root(traces).count(SECRET) == 0
    assert site.listed("/run/changeover/sample") == []
    assert site.root(f"systemctl show -P LoadState {UNIT}") == "not-found"


def test_one_that_nobody_follows_is_taken_over_with_all_it_printed(site: Site) -> None:
    colour = placed(site, WAITS)
    with site.begin(asked(colour)) as session:
        wait_for(lambda: site.root(f"grep begun {KEPT}/live-command.log") != "")
        site.kill_holder("/var/lib/changeover/sample/migrator.lock")
        session.wait()
    running = site.root(f"systemctl show -P MainPID {UNIT}")
    left = site.do("migrator_left")
    with site.begin(asked(colour)) as session:
        site.root("touch /run/sample/open")
        answer = last_of(session)
    again = site.do(**asked(colour))

    assert running != "0"
    assert (left["runs"], left["was"]) == (
        True,
        f"command of {colour} on shop, of deployment d1",
    )
    assert (answer["result"]["exit"], answer["result"]["adopted"]) == (0, True)
    printed = site.do("migrator_output", what="command", purpose="live")["output"]
    assert printed.splitlines() == ["begun", "opened"]
    assert (again["exit"], again["skipped"]) == (0, True)


def test_a_unit_that_nobody_knows_is_credited_to_nobody(site: Site) -> None:
    site.root(f"systemd-run --quiet --unit={UNIT} --property=RemainAfterExit=yes true")

    done = site.do(**asked(placed(site, "echo ran")))

    printed = site.do("migrator_output", what="command", purpose="live")["output"]
    assert (done["exit"], done["adopted"], printed) == (0, False, "ran\n")
    assert not site.do("migrator_left")["runs"]


def test_at_its_deadline_it_is_ended_and_runs_again_when_asked_again(site: Site) -> None:
    colour = placed(site, WAITS, deadline_seconds=1)
    late = site.do(**asked(colour))
    site.root("touch /run/sample/open")
    again = site.do(**asked(colour))

    assert (late["exit"], late["result"]) == (None, "timeout")
    assert (again["exit"], again["adopted"]) == (0, False)


def test_who_takes_a_deployment_back_ends_it(site: Site) -> None:
    colour = placed(site, WAITS)
    with site.begin(asked(colour)) as session:
        wait_for(lambda: site.root(f"grep begun {KEPT}/live-command.log") != "")
        ended = site.do("migrator_end")
        answer = last_of(session)

    assert ended["was"] == f"command of {colour} on shop, of deployment d1"
    assert (answer["result"]["exit"], answer["result"]["result"]) == (None, "stopped")
    assert site.do("migrator_end")["skipped"]


def test_of_a_long_output_the_beginning_and_the_end_are_kept(site: Site) -> None:
    result = site.do(**asked(placed(site, LOUD)))
    printed = site.do("migrator_output", what="command", purpose="live")["output"].splitlines()

    assert result["lines"] == 200000
    assert (printed[0], printed[-1]) == ("1", "200000")
    (gap,) = [line for line in printed if line.endswith("lines are left out]")]
    assert len(printed) - 1 + int(gap.strip("[").split()[0]) == 200000


def test_a_program_that_is_not_there_is_named_and_leaves_nothing(site: Site) -> None:
    colour = placed(site, "true", program="/usr/bin/not-there")

    failure = site.refuse(**asked(colour))

    assert failure["error"] == "migrator-not-started"
    assert "not-there" in failure["cause"]
    assert site.listed(KEPT) == []
    assert site.listed("/run/changeover/sample") == []


def test_only_the_command_that_the_bundle_names_is_run(site: Site) -> None:
    colour = placed(site, "true")

    missing = site.refuse(**{**asked(colour), "what": "undo"})
    unknown = site.refuse(**{**asked(colour), "command": ["id"]})

    assert missing["error"] == "no-migrator"
    assert (unknown["error"], unknown["message"]) == ("bad-parameter", "unknown parameter: command")
