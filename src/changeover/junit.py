"""Results of checks as JUnit XML, which every CI system reads."""

from __future__ import annotations

import datetime as dt
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# XML 1.0 has no way to write these, not even escaped.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One check.

    Args:
        name: Its id.
        group: What it belongs to, such as a host; becomes the class name.
        seconds: How long it took.
        failure: What is wrong; ``None`` where it is green.
        text: Further lines: of the failure, or a warning of a green check.
    """

    name: str
    group: str
    seconds: float = 0.0
    failure: str | None = None
    text: str = ""


def document(suite: str, cases: Sequence[Case], *, seconds: float) -> str:
    """Return a JUnit document of one suite."""
    red = sum(case.failure is not None for case in cases)
    figures = {
        "name": suite,
        "tests": str(len(cases)),
        "failures": str(red),
        "errors": "0",
        "time": f"{seconds:.3f}",
    }
    root = ET.Element("testsuites", figures)
    element = ET.SubElement(root, "testsuite", figures)
    element.set("skipped", "0")
    element.set("timestamp", dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    for case in cases:
        _case(element, suite, case)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, prefix: str, case: Case) -> None:
    element = ET.SubElement(
        suite,
        "testcase",
        {
            "classname": _writable(f"{prefix}.{case.group}"),
            "name": _writable(case.name),
            "time": f"{case.seconds:.3f}",
        },
    )
    if case.failure is not None:
        attributes = {"message": _writable(case.failure), "type": "red"}
        ET.SubElement(element, "failure", attributes).text = _writable(case.text or case.failure)
    elif case.text:
        ET.SubElement(element, "system-out").text = _writable(case.text)


def _writable(text: str) -> str:
    return _UNWRITABLE.sub("?", text)
