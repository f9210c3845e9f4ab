"""Pick, out of this machine's own package sources, those that serve the hosts' suite."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.lab.programs import run

if TYPE_CHECKING:
    from collections.abc import Iterable

SUITE = "bookworm"
ONE_LINE = re.compile(r"deb\s+(?:\[[^\]]*\]\s+)?\S+\s+(?P<suite>\S+)(?:\s|$)")
FIELD = re.compile(r"(?P<name>[A-Za-z-]+):\s*(?P<value>.*)")
DISTRIBUTION_SUITES = ("", "-updates", "-security")
FETCHING = re.compile(r"Acquire::(?:Check-|http|https|Retries|ForceIPv|Proxy|Languages)")
ETC_APT = Path("/etc/apt")


def suites_of(suite: str) -> frozenset[str]:
    """Return the names under which Debian publishes a suite and its updates."""
    return frozenset(suite + ending for ending in DISTRIBUTION_SUITES)


def select_lines(text: str, suite: str) -> str:
    """Return the lines of a ``.list`` file that serve the suite."""
    wanted = suites_of(suite)
    lines = (line.strip() for line in text.splitlines())
    kept = [line for line in lines if (match := ONE_LINE.match(line)) and match["suite"] in wanted]
    return "".join(f"{line}\n" for line in kept)


def select_stanzas(text: str, suite: str) -> str:
    """Return the stanzas of a ``.sources`` file that serve the suite, and no other suite with it."""
    uncommented = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    kept = []
    for stanza in re.split(r"\n\s*\n", uncommented.strip()):
        fields = {
            match["name"].lower(): match["value"].split()
            for line in stanza.splitlines()
            if (match := FIELD.match(line))
        }
        served = [name for name in fields.get("suites", ()) if name in suites_of(suite)]
        enabled = fields.get("enabled", ["yes"])[:1] != ["no"]
        if served and enabled and "deb" in fields.get("types", ()):
            suites = f"Suites: {' '.join(served)}"
            kept.append(re.sub(r"(?im)^suites:.*$", suites, stanza))
    return "\n\n".join(kept) + "\n" if kept else ""


def own_sources(suite: str, configuration: Path = ETC_APT) -> dict[str, str]:
    """Return this machine's sources for the suite, by file name; empty when it has none."""
    files: Iterable[Path] = (
        configuration / "sources.list",
        *sorted((configuration / "sources.list.d").glob("*")),
    )
    found: dict[str, str] = {}
    for file in files:
        if file.suffix in {".list", ".sources"} and file.is_file():
            select = select_stanzas if file.suffix == ".sources" else select_lines
            text = select(file.read_text(errors="replace"), suite)
            if text:
                found[file.name] = text
    return found


def write_sources(directory: Path, sources: dict[str, str]) -> tuple[Path, ...]:
    """Write sources as files into a directory and return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in sources.items():
        (directory / name).write_text(text)
        written.append(directory / name)
    return tuple(written)


def fetch_options(dump: str | None = None) -> str:
    """Return how this machine fetches packages: proxies and date checks, as apt configuration.

    Args:
        dump: The output of ``apt-config dump``; asked for when None.
    """
    text = run("apt-config", "dump") if dump is None else dump
    return "".join(f"{line}\n" for line in text.splitlines() if FETCHING.match(line))
