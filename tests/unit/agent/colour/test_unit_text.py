from __future__ import annotations

import pytest
from tests.unit.agent import bundles

from changeover.agent.colour import unit_text
from changeover.agent.failure import ActionError
from changeover.agent.host import App

NOX = App("nox", "nox", "nox")
UNIT = bundles.UNIT.format(app="nox", version="1.0.0", sockets="http")


def refused(text: str) -> str:
    with pytest.raises(ActionError) as caught:
        unit_text.check(text, NOX, "web")
    assert caught.value.error == "unit-refused"
    return caught.value.message


def test_the_apps_own_unit_is_taken() -> None:
    unit_text.check(UNIT, NOX, "web")


@pytest.mark.parametrize(
    "line",
    [
        "User=root",
        "Group=root",
        "SupplementaryGroups=root",
        "ExecStartPre=+/bin/sh -c id",
        "ExecStartPre=!/bin/sh -c id",
        "ExecStartPre=-@+/bin/sh sh -c id",
        "ExecStartPre=+/usr/bin/install -d -o nox -g nox -m 0750 /etc/cron.d",
        "ExecStopPost=!!/bin/sh",
        "EnvironmentFile=/root/secret",
        "EnvironmentFile=-/etc/changeover/other/%i.env",
        "AmbientCapabilities=CAP_SYS_ADMIN",
        "CapabilityBoundingSet=CAP_SYS_ADMIN",
        "LoadCredential=key:/root/key",
        "StandardOutput=append:/etc/passwd",
        "RootDirectory=/",
        "BindPaths=/root",
        "PAMName=login",
        "Slice=system.slice",
        "ExecStart=/bin/true \\",
        "no setting",
    ],
)
def test_a_line_that_reaches_for_more_is_refused(line: str) -> None:
    text = UNIT.replace("[Install]", f"{line}\n[Install]")

    assert line.strip(" \\").partition("=")[0] in refused(text)


def test_other_sections_and_missing_accounts_are_refused() -> None:
    assert "[Socket]" in refused(UNIT + "[Socket]\nListenStream=80\n")
    assert "OnFailure" in refused(UNIT.replace("[Service]", "OnFailure=a.service\n[Service]"))
    assert "User" in refused(UNIT.replace("User=nox\n", ""))
    assert "Group" in refused(UNIT.replace("Group=nox\n", ""))
