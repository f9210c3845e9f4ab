"""Reports: what the journal says, told three ways."""

from __future__ import annotations

import re

import pytest

from changeover import report

AT = "2026-01-01T00:00:0{}.000+00:00"
EVENTS: list[report.Event] = [
    {
        "type": "deployment-begin",
        "at": AT.format(0),
        "deployment": "d1",
        "command": "deploy",
        "environment": "lab",
        "app": "sample",
        "before": "7.0.0-aaaaaaaa",
        "after": "8.0.0-bbbbbbbb",
        "owner": "sre@desk",
        "steps": ["place", "start"],
    },
    {"type": "step-intent", "at": AT.format(1), "step": "place", "says": "put"},
    {"type": "step-done", "at": AT.format(3), "step": "place", "says": "on 2 hosts"},
    {"type": "step-intent", "at": AT.format(3), "step": "start", "says": "start"},
    {
        "type": "step-failed",
        "at": AT.format(4),
        "step": "start",
        "message": "not healthy",
        "cause": "<script>alert(1)</script>",
    },
]
END: report.Event = {
    "type": "deployment-end",
    "at": AT.format(5),
    "outcome": "failed",
    "exit": 1,
    "message": "start: not healthy",
}


def test_a_summary_times_each_step_and_knows_how_it_ended() -> None:
    summary = report.summarise([*EVENTS, END])

    assert [(line.step, line.state, line.seconds) for line in summary.steps] == [
        ("place", "done", 2.0),
        ("start", "red", 1.0),
    ]
    assert (summary.outcome, summary.exit, summary.seconds) == ("failed", 1, 5.0)


def test_a_resumed_deployment_tells_where_it_was_interrupted_and_who_went_on() -> None:
    interrupted = {**END, "outcome": "interrupted", "exit": 130, "message": "interrupted at start"}
    hour_later = [{**event, "at": event["at"].replace("T00", "T01")} for event in EVENTS[:3]]
    done = {**END, "at": END["at"].replace("T00", "T01"), "outcome": "done", "exit": 0}

    summary = report.summarise([*EVENTS[:4], interrupted, *hour_later, done])

    assert [(line.step, line.state) for line in summary.steps] == [
        ("place", "done"),
        ("start", "open"),
        ("interrupted", "red"),
        ("resumed", "done"),
        ("place", "done"),
    ]
    assert summary.steps[2].says == "interrupted at start"
    assert summary.steps[3].says == "by sre@desk at 2026-01-01T01:00:00.000+00:00"
    assert (summary.outcome, summary.seconds) == ("done", 10.0)


def test_a_deployment_without_an_end_is_open_and_names_the_step_it_stopped_in() -> None:
    summary = report.summarise(EVENTS[:4])

    assert summary.outcome == "open"
    assert summary.steps[-1].state == "open"
    assert summary.steps[-1].step == "start"


def test_the_text_says_what_was_moved_and_why_it_is_red() -> None:
    text = report.as_text(report.summarise([*EVENTS, END]))

    assert "deploy sample on lab: 7.0.0-aaaaaaaa -> 8.0.0-bbbbbbbb" in text
    assert "red start" in text
    assert "start: not healthy" in text


@pytest.mark.parametrize(
    ("facts", "title"),
    [
        ({"before": None, "steps": ["lock"]}, "deploy sample on lab: nothing -> 8.0.0-bbbbbbbb"),
        (
            {"command": "finalize", "before": "8.0.0-bbbbbbbb", "steps": ["lock"]},
            "finalize sample on lab: 8.0.0-bbbbbbbb",
        ),
        (
            {"command": "db migrate", "before": None, "after": "7.0.0"},
            "db migrate sample on lab: 7.0.0",
        ),
        (
            {"command": "backup create", "before": None, "after": None},
            "backup create sample on lab",
        ),
        (
            {"command": "lock steal", "before": "ann", "after": None},
            "lock steal sample on lab: ann",
        ),
    ],
)
def test_only_what_moves_a_version_reads_as_a_move(facts: report.Event, title: str) -> None:
    begin = {**EVENTS[0], **facts}
    if "steps" not in facts:
        del begin["steps"]

    assert report.title(report.summarise([begin])) == title


def test_the_page_escapes_what_hosts_said() -> None:
    page = report.as_html(report.summarise([*EVENTS, END]))

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_the_page_says_how_a_step_went_in_words_and_not_by_colour_alone() -> None:
    page = report.as_html(report.summarise([*EVENTS, END]))

    assert re.search(r'<td class="step done">ok \w+</td>', page)
    assert '<td class="step red">red start</td>' in page


def test_connections_that_reloads_met_are_counted_and_told() -> None:
    moved = [
        {"type": "step-done", "at": AT.format(4), "step": step, "figures": {"left_open": count}}
        for step, count in (("switch", 3), ("revert", 2))
    ]

    summary = report.summarise([*EVENTS, *moved])

    assert summary.as_json()["left_open"] == 5
    assert "5 connections at reloads, WebSockets among them" in report.as_html(summary)
