"""What provision recorded about this host: its apps, their users, whether Nginx runs here."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.agent import names
from changeover.agent.failure import ActionError
from changeover.agent.places import HOST_RECORD, SYSTEM_ROOT, Places
from changeover.agent.system.program import Programs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

AGENT_PATH = "/usr/local/lib/changeover/agent"


@dataclass(frozen=True, slots=True)
class App:
    """One app of this host: the system account that runs it, and its database as provisioned."""

    name: str
    user: str
    group: str
    database: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """This host. ``root`` and ``programs`` are the system's own but in tests.

    Args:
        version: The running agent's version.
        apps: The apps that provision declared, by name.
        nginx: Whether Nginx serves on this host.
        record: The whole of host.json, for what a module wants beyond that.
    """

    version: str
    apps: Mapping[str, App]
    nginx: bool
    root: Path = SYSTEM_ROOT
    programs: Programs = field(default_factory=Programs)
    agent: str = AGENT_PATH
    record: Mapping[str, Any] = field(default_factory=dict)

    def app(self, name: str) -> App:
        """Return a declared app.

        Raises:
            ActionError: ``unknown-app``; provision did not declare it on this host.
        """
        names.checked("app", names.APP, name)
        if name in self.apps:
            return self.apps[name]
        raise ActionError(
            "unknown-app", f"provision has not declared {name} on this host", app=name
        )

    def places(self, app: str) -> Places:
        """Return the paths of an app."""
        return Places(self.root, app)


def read(version: str, root: Path = SYSTEM_ROOT, programs: Programs | None = None) -> Host:
    """Read this host's record.

    Raises:
        ActionError: ``not-provisioned``; there is no record, or it cannot be read.
    """
    path = root / HOST_RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        apps = {name: _app(name, entry) for name, entry in record["apps"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ActionError(
            "not-provisioned",
            f"{path} cannot be read: provision this host first",
            cause=f"{type(error).__name__}: {error}",
        ) from error
    return Host(
        version=version,
        apps=apps,
        nginx=bool(record.get("nginx")),
        root=root,
        programs=programs or Programs(),
        record=record,
    )


def _app(name: str, entry: Mapping[str, Any]) -> App:
    names.checked("app", names.APP, name)
    user = names.checked("user", names.ACCOUNT, entry["user"])
    group = names.checked("group", names.ACCOUNT, entry.get("group") or user)
    return App(name, user, group, entry.get("database"))
