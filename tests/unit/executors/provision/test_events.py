"""What a run of Ansible told becomes counts, changes, words and failures."""

from __future__ import annotations

from typing import Any

import pytest

from changeover.executors.provision.events import (
    HostCounts,
    HostsUnreachable,
    NotRoot,
    Provisioned,
    TaskFailed,
    Telling,
)

Event = dict[str, Any]


def answer(status: str, host: str = "app1", **more: object) -> Event:
    return {"event": "answer", "host": host, "task": "nginx : Write", "status": status, **more}


def told(*events: Event, check: bool = False) -> tuple[Telling, list[Event]]:
    telling = Telling(check=check)
    return telling, [made for event in events for made in telling.take(event)]


def test_a_change_is_said_with_what_it_concerned() -> None:
    telling, events = told(answer("changed", items=["/etc/nginx/nginx.conf"]))

    assert telling.changes == [("app1", "nginx : Write")]
    assert events[0]["says"] == "  app1: changed  nginx : Write (/etc/nginx/nginx.conf)"


def test_a_check_says_would() -> None:
    _, events = told(answer("changed"), check=True)

    assert events[0]["says"] == "  app1: would change  nginx : Write"


def test_what_is_as_declared_is_told_without_words() -> None:
    telling, events = told(answer("ok"))

    assert telling.changes == []
    assert "says" not in events[0]


def test_a_check_shows_differences_as_a_diff() -> None:
    part = {"name": "/etc/motd", "before": "a\nb\n", "after": "a\nc\n"}

    _, events = told(answer("changed", differences=[part]), check=True)

    assert events[1]["type"] == "provision-diff"
    assert events[1]["diff"].splitlines() == [
        "--- now",
        "+++ /etc/motd",
        "@@ -1,2 +1,2 @@",
        " a",
        "-b",
        "+c",
    ]


def test_a_real_run_shows_no_diff() -> None:
    part = {"name": "/etc/motd", "before": "a\n", "after": "b\n"}

    _, events = told(answer("changed", differences=[part]))

    assert [event["type"] for event in events] == ["provision-task"]


def test_counts_are_kept_by_host() -> None:
    counts = {"ok": 5, "changed": 1, "failed": 0, "unreachable": 0}

    telling, _ = told({"event": "counts", "hosts": {"app1": counts}})

    assert telling.counts == {"app1": HostCounts(ok=5, changed=1)}


def test_a_failed_task_names_host_task_cause_and_the_next_command() -> None:
    telling, _ = told(
        answer("failed", cause="nginx: [emerg] unknown directive"), answer("failed", host="app2")
    )

    with pytest.raises(TaskFailed) as failure:
        telling.raise_failure("prod")

    assert failure.value.message == "provisioning stopped at 'nginx : Write'; also on app2"
    assert failure.value.host == "app1"
    assert failure.value.cause == "nginx: [emerg] unknown directive"
    assert "changeover provision --env prod --limit app1" in failure.value.hint
    assert failure.value.exit_code == 1


def test_a_host_that_does_not_answer_is_a_red_check() -> None:
    telling, _ = told(answer("unreachable", cause="Connection refused"))

    with pytest.raises(HostsUnreachable) as failure:
        telling.raise_failure("prod")

    assert failure.value.exit_code == 6


@pytest.mark.parametrize(
    "cause",
    [
        "Missing sudo password",
        "sudo: a password is required",
        "admin is not in the sudoers file.",
        "Sorry, user admin is not allowed to execute '/bin/sh' as root on app1.",
    ],
)
def test_an_administrator_who_may_not_become_root_is_told_what_to_allow(cause: str) -> None:
    telling, _ = told(answer("failed", cause=cause))

    with pytest.raises(NotRoot) as failure:
        telling.raise_failure("prod")

    assert failure.value.message == "the administrator cannot become root on app1"
    assert "NOPASSWD" in failure.value.hint
    assert "changeover provision --env prod --limit app1" in failure.value.hint
    assert (failure.value.cause, failure.value.exit_code) == (cause, 6)


def test_a_failure_weighs_more_than_silence() -> None:
    telling, _ = told(answer("unreachable", host="db1"), answer("failed"))

    with pytest.raises(TaskFailed, match="also on db1"):
        telling.raise_failure("prod")


def test_nothing_failed() -> None:
    telling, _ = told(answer("ok"), answer("changed"))

    telling.raise_failure("prod")


def test_the_outcome_reads_as_a_line_a_host() -> None:
    done = Provisioned(
        hosts={"app1": HostCounts(ok=40, changed=2)}, changes=(), seconds=12.34, check=False
    )

    assert done.as_text() == "app1         2 changed, 38 as declared\n12.3 s"
    assert done.as_json()["hosts"]["app1"]["changed"] == 2
