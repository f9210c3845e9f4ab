"""What is placed on a real host, and what is left when it is not or no longer needed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.unit.agent import bundles

from .host import APP, first

if TYPE_CHECKING:
    from .host import Site

pytestmark = pytest.mark.lab


def test_a_colour_that_does_not_drain_in_time_is_killed(site: Site) -> None:
    first(site)
    unit = bundles.UNIT.format(app=APP, version="1.3.0", sockets="http")
    unit = unit.replace("sample_app.py http", "sample_app.py --deaf http")
    colour = site.up("1.3.0", unit_text=unit)

    answer = site.do("stop", colour=colour, drain_seconds=1)

    assert answer["killed"]
    assert answer["stopped_ms"] >= 1000
    running = {entry["colour"]: entry["running"] for entry in site.do("state")["releases"]}
    assert not running[colour]


ODD_VALUES = {
    "NEWLINE": "one\ntwo\n",
    "QUOTES": "a 'single' and a \"double\"",
    "DOLLAR": "$HOME ${HOME} $$ %i %%",
    "BACKSLASH": "\\ \\n \\\\ C:\\dir\\",
    "COMMENT": "# no comment; none",
    "SPACES": "  leading and trailing  ",
    "TAB": "a\tb",
    "UNICODE": "Grüße 🚀 \u2028 日本",
    "BACKTICK": "`id`",
    "EMPTY": "",
    "JSON": '{"a": ["b\\"c", null]}',
    "ENDS": "ends with a backslash\\",
}


def test_systemd_reads_every_value_back(site: Site) -> None:
    colour = site.place("1.0.0", env=ODD_VALUES)
    script = "import json,os;print(json.dumps(dict(os.environ)))"

    said = site.root(
        f"systemd-run --quiet --pipe --wait -p EnvironmentFile=/etc/changeover/sample/{colour}.env"
        f" python3 -c '{script}'"
    )

    found = json.loads(said)
    assert {name: found.get(name) for name in ODD_VALUES} == ODD_VALUES
    assert site.root(f"stat -c '%a %U' /etc/changeover/sample/{colour}.env") == "600 root"


@pytest.mark.parametrize("limit", ["size=20m", "size=100m,nr_inodes=4"])
def test_a_full_disk_keeps_nothing(site: Site, limit: str) -> None:
    releases = "/opt/sample/releases"
    before = site.place("0.9.0")
    site.root(f"mount -t tmpfs -o {limit} none {releases}")
    try:
        failure = site.refuse("place", digest=site.bundle("1.0.0"), env={"A": "b"})
        kept = site.listed(releases)
    finally:
        site.root(f"umount {releases}")

    assert failure["error"] == "disk-full"
    assert failure["free_bytes"] > 0
    assert failure["needed_bytes"] > 0
    assert kept == []
    assert site.listed(releases) == [before]
    assert site.listed("/etc/changeover/sample") == [f"{before}.env"]
    units = [name for name in site.listed("/etc/systemd/system") if "sample" in name]
    assert units == [f"sample-web@{before}.service"]


def test_retired_colours_leave_nothing(site: Site) -> None:
    old = first(site)
    new = site.up("1.1.0")
    site.do("switch", "d2", colour=new, deadman_seconds=60, closing_seconds=0)
    site.do("confirm", "d2", colour=new)

    assert site.refuse("retire", colour=new, force=True)["error"] == "colour-live"
    assert site.refuse("retire", colour=old)["error"] == "colour-awaited"
    site.do("stop", colour=old, drain_seconds=5)
    look = f"find /opt /etc /run /var/lib/changeover -name '*{old}*'"
    assert f"/opt/sample/releases/{old}" in site.root(look)
    assert not site.do("retire", colour=old, force=True)["skipped"]

    assert site.root(look) == ""
    assert site.do("retire", colour=old, force=True)["skipped"]
    assert site.refuse("revert", "d3")["error"] == "nothing-before"
