"""A task of an app on a real host: as whom it runs, with which values, and who follows it."""

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
UNIT = "changeover-task-sample.service"
KEPT = "/var/lib/changeover/sample/task"
SHOWS = (
    'id -un; grep NoNewPrivs /proc/self/status; echo url $DATABASE_URL >&2; printf "<%s>" "$@"; echo;'
    " echo $TASK_ASKED_BY $RELEASE_VERSION;"
    " touch here 2>/dev/null || echo cannot write beside its code;"
    " ls /etc/changeover 2>&1 | head -n 1; exit 75"
)
WAITS = "echo begun; while ! test -e /run/sample/open; do sleep 0.05; done; echo opened"
PARAMETERS = {
    "step": {"type": "string", "required": True, "matches": "[a-z]+"},
    "to": {"type": "integer", "required": True, "minimum": 2, "maximum": 9},
    "title": {"type": "string", "required": False},
}
VALUES = {"step": "payments", "to": "2"}


def placed(site: Site, script: str, deadline_seconds: int = 60) -> str:
    """Place a version with a task that runs a script; return its colour."""
    parameters = {
        name: {"minimum": None, "maximum": None, "matches": None, **each}
        for name, each in PARAMETERS.items()
    }
    words = ["/bin/sh", "-c", script, "it", "{step}", "--to={to}", "--title={title}"]
    task = {
        "command": words,
        "dry_run": ["/bin/sh", "-c", "echo would", "it", "{step}"],
        "undo": None,
        "parameters": parameters,
        "deadline_seconds": deadline_seconds,
    }
    env = {"DATABASE_URL": f"postgresql://app:{SECRET}@db/shop"}
    return site.place("1.0.0", env=env, tasks={"move": task})


def asked(colour: str, values: dict[str, str] | None = None, **more: str) -> dict[str, Any]:
    return {
        "action": "task_run",
        "colour": colour,
        "task": "move",
        "what": "command",
        "values": VALUES if values is None else values,
        "by": "ann@desk",
        **more,
    }


def printed(site: Site, what: str = "command") -> list[str]:
    text: str = site.do("task_output", task="move", what=what)["output"]
    return text.splitlines()


def last_of(session: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return the agent's last line, once it has said it."""
    assert session.stdout
    answer: dict[str, Any] = json.loads(session.stdout.read().splitlines()[-1])
    return answer


def test_it_runs_as_the_app_with_each_value_as_a_whole_argument(site: Site) -> None:
    colour = placed(site, SHOWS)
    lines = site.ask(asked(colour, {**VALUES, "title": 'two "words"; $(id) %n'}))
    result = lines[-1]["result"]
    user, privileges, url, arguments, about, written, seen = printed(site)

    assert (result["exit"], result["result"], result["adopted"]) == (75, "exit-code", False)
    assert (user, privileges.split()) == ("sample", ["NoNewPrivs:", "1"])
    assert url == "url [DATABASE_URL]"
    assert arguments == '<payments><--to=2><--title=two "words"; $(id) %n>'
    assert about == "ann@desk 1.0.0"
    assert "cannot" in written
    assert "ermission denied" in seen
    told = [line["message"] for line in lines if line["type"] == "progress"]
    assert told == [f"| {line}" for line in printed(site)]
    traces = f"journalctl --no-pager; cat {KEPT}/* /var/lib/changeover/sample/journal.jsonl"
    assert site.root(traces).count(SECRET) == 0
    assert site.listed("/run/changeover/sample") == []
    assert site.root(f"systemctl show -P LoadState {UNIT}") == "not-found"


def test_an_argument_without_a_value_is_left_out(site: Site) -> None:
    colour = placed(site, SHOWS)
    site.do(**asked(colour))

    assert printed(site)[3] == "<payments><--to=2>"


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"step": "payments"}, "to"),
        ({**VALUES, "step": "Payments"}, "step"),
        ({**VALUES, "to": "1"}, "to"),
        ({**VALUES, "to": "2; id"}, "to"),
        ({**VALUES, "title": "two\nlines"}, "title"),
        ({**VALUES, "more": "x"}, "more"),
    ],
)
def test_a_value_that_the_bundle_does_not_let_be_starts_nothing(
    site: Site, values: dict[str, str], wrong: str
) -> None:
    failure = site.refuse(**asked(placed(site, "echo ran"), values))

    assert (failure["error"], failure["message"].rpartition(": ")[2]) == ("bad-value", wrong)
    assert site.do("task_left")["ended"] == []


def test_the_same_asked_for_by_somebody_else_follows_it_to_its_end(site: Site) -> None:
    colour = placed(site, WAITS)
    with site.begin(asked(colour)) as session:
        wait_for(lambda: site.root(f"grep begun {KEPT}/move-command.log") != "")
        site.kill_holder("/var/lib/changeover/sample/task.lock")
        session.wait()
    first = site.root(f"systemctl show -P MainPID {UNIT}")
    left = site.do("task_left")["running"]
    other = site.refuse(**asked(colour, {**VALUES, "to": "3"}))
    with site.begin(asked(colour), deployment="d2") as session:
        site.root("touch /run/sample/open")
        answer = last_of(session)

    assert first != "0"
    assert (left["deployment"], left["task"], left["values"]) == ("d1", "move", VALUES)
    assert other["error"] == "task-runs"
    assert other["message"] == (
        f"command of move step=payments to=2 of {colour}, of deployment d1, runs on this host"
    )
    assert (answer["result"]["exit"], answer["result"]["adopted"]) == (0, True)
    assert printed(site) == ["begun", "opened"]


def test_a_deployment_does_not_do_again_what_it_did_and_who_follows_takes_any_end(
    site: Site,
) -> None:
    colour = placed(site, "echo ran; exit 0")
    runs = [
        site.do(**asked(colour)),
        site.do(**asked(colour)),
        site.do(**asked(colour), deployment="d2"),
        site.do(**asked(colour, follows="d2"), deployment="d3"),
        site.do(**asked(colour, {**VALUES, "to": "3"}, follows="d2"), deployment="d3"),
    ]

    assert [each["adopted"] for each in runs] == [False, True, False, True, False]


def test_its_dry_run_is_asked_each_time(site: Site) -> None:
    colour = placed(site, "echo ran")
    dry = {**asked(colour), "what": "dry_run"}
    runs = [site.do(**dry), site.do(**dry)]

    assert [each["adopted"] for each in runs] == [False, False]
    assert printed(site, "dry_run") == ["would"]


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
        wait_for(lambda: site.root(f"grep begun {KEPT}/move-command.log") != "")
        ended = site.do("task_end")
        answer = last_of(session)

    assert ended["was"] == f"command of move step=payments to=2 of {colour}, of deployment d1"
    assert (answer["result"]["exit"], answer["result"]["result"]) == (None, "stopped")
    assert site.do("task_end")["skipped"]


def test_a_task_that_the_bundle_does_not_have_is_refused(site: Site) -> None:
    colour = placed(site, "true")

    assert site.refuse(**{**asked(colour), "task": "other"})["error"] == "no-task"
    assert site.refuse(**{**asked(colour), "what": "undo"})["error"] == "no-task"
