"""What a bundle's unit may say: it runs as the app's own user, and asks the system for nothing else.

The text comes signed, so this is the second lock on the door: a release key that signs anything
still does not hand out root.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.agent.host import App

FREE = {
    "Unit": "Description Documentation After Wants ConditionPathExists AssertPathExists"
    " StartLimitIntervalSec StartLimitBurst",
    "Service": "Type Restart RestartSec TimeoutStartSec TimeoutStopSec TimeoutAbortSec KillMode"
    " KillSignal SendSIGKILL FinalKillSignal WatchdogSec NotifyAccess RuntimeMaxSec OOMPolicy"
    " OOMScoreAdjust SuccessExitStatus RestartPreventExitStatus Environment WorkingDirectory UMask"
    " SyslogIdentifier LogRateLimitIntervalSec LogRateLimitBurst LimitNOFILE LimitNPROC LimitCORE"
    " MemoryMax MemoryHigh MemorySwapMax TasksMax CPUQuota CPUWeight IOWeight Nice KeyringMode"
    " NoNewPrivileges PrivateTmp PrivateDevices PrivateUsers PrivateIPC PrivateMounts"
    " PrivateNetwork ProtectSystem ProtectHome ProtectProc ProcSubset ProtectClock ProtectHostname"
    " ProtectKernelLogs ProtectKernelModules ProtectKernelTunables ProtectControlGroups"
    " RestrictAddressFamilies RestrictNamespaces RestrictRealtime RestrictSUIDSGID LockPersonality"
    " MemoryDenyWriteExecute RemoveIPC SystemCallFilter SystemCallArchitectures"
    " SystemCallErrorNumber DevicePolicy IPAddressDeny IPAddressAllow ReadWritePaths ReadOnlyPaths"
    " InaccessiblePaths NoExecPaths ExecPaths TemporaryFileSystem",
    "Install": "WantedBy",
}
FIXED = {
    "CapabilityBoundingSet": {""},
    "AmbientCapabilities": {""},
    "StandardOutput": {"journal", "null"},
    "StandardError": {"journal", "null", "inherit"},
}
COMMANDS = {"ExecStart", "ExecStartPre", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost"}
SECTION = re.compile(r"\[([A-Za-z]+)\]")
# With + or ! a command is run as root, whatever User= says. @ - and : change nothing of the kind.
PRIVILEGED = re.compile(r"[@:-]*[+!]")


def check(text: str, app: App, process: str) -> None:
    """Refuse a unit that would run as another user or reach for more than its app.

    Raises:
        ActionError: ``unit-refused``, with the line.
    """
    fixed = {
        **FIXED,
        "User": {app.user},
        "Group": {app.group},
        "EnvironmentFile": {f"/etc/changeover/{app.name}/%i.env"},
    }
    as_root = {
        f"+/usr/bin/install -d -o {app.user} -g {app.group} -m 0750 /run/{app.name}/%i",
    }
    seen: set[str] = set()
    for section, key, value in _settings(text, process):
        seen.add(key)
        if section == "Service" and key in COMMANDS:
            fine = not PRIVILEGED.match(value) or value in as_root
        elif section == "Service" and key in fixed:
            fine = value in fixed[key]
        else:
            fine = key in FREE[section].split()
        if not fine:
            raise _refused(process, f"{key}={value} is not allowed for {app.name}")
    for needed in ("User", "Group", "ExecStart"):
        if needed not in seen:
            raise _refused(process, f"{needed}= is missing")


def _settings(text: str, process: str) -> Iterator[tuple[str, str, str]]:
    section = ""
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.endswith("\\") or not line.isprintable():
            raise _refused(process, f"a continued or unprintable line: {line[:60]!r}")
        if heading := SECTION.fullmatch(line):
            section = heading[1]
            if section not in FREE:
                raise _refused(process, f"the section {line} is not allowed")
            continue
        key, equals, value = line.partition("=")
        if not section or not equals:
            raise _refused(process, f"a line that is no setting: {line[:60]!r}")
        yield section, key.strip(), value.strip()


def _refused(process: str, why: str) -> ActionError:
    return ActionError("unit-refused", f"the unit of process {process} is refused: {why}")
