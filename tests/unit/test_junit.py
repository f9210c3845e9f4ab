"""JUnit XML as CI systems read it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from changeover import junit


def test_green_red_and_warned() -> None:
    text = junit.document(
        "smoke",
        [
            junit.Case(name="health", group="shop", seconds=0.25),
            junit.Case(
                name="profile", group="shop", failure='is "a" & <b>', text="line\x00 1\nline 2 \x1b"
            ),
            junit.Case(name="disk", group="web1", text="15 GB, 20 GB is recommended"),
        ],
        seconds=1.5,
    )

    root = ET.fromstring(text.encode())  # noqa: S314 - our own text
    suite = root[0]
    cases = {case.get("name"): case for case in suite}
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    assert [suite.get(key) for key in ("tests", "failures", "errors", "skipped", "time")] == [
        "3",
        "1",
        "0",
        "0",
        "1.500",
    ]
    assert cases["health"].get("classname") == "smoke.shop"
    assert cases["health"].get("time") == "0.250"
    assert list(cases["health"]) == []
    failure = cases["profile"][0]
    assert (failure.tag, failure.get("message"), failure.text) == (
        "failure",
        'is "a" & <b>',
        "line? 1\nline 2 ?",
    )
    assert (cases["disk"][0].tag, cases["disk"][0].text) == (
        "system-out",
        "15 GB, 20 GB is recommended",
    )
