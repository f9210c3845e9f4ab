"""The catalogue of faults is what the page of `drill` says."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from changeover.drill.faults import FAULTS, HELD, Fault

PAGE = Path(__file__).parents[3] / "docs/verbs/drill.md"
WHO = {"administrator": "an administrator", "deploy user": "the deploy user"}


def row(fault: Fault) -> str:
    """Return a fault's row as the page has it."""
    *first, last = [
        signal.Signals(-code).name if code < 0 else str(code) for code in sorted(fault.ends)
    ]
    ends = f"{', '.join(first)} or {last}" if first else last
    ends += f", and {HELD} for the second one" if fault.rival else ""
    then = "".join(f"`{verb}`" for verb in fault.then.values())
    who = WHO.get(fault.who, f"the {fault.who}")
    return f"| `{fault.name}` | `{fault.step}` | {who} | {ends} | {then} |".replace("|  |", "| |")


def test_the_page_has_a_row_a_fault_and_no_other() -> None:
    page = re.findall(r"(?m)^\| `[a-z-]+` \| `[a-z]+` \| .*$", PAGE.read_text())

    assert page == [row(each) for each in FAULTS]
