"""Releases that go wrong in one way each: a release of the app, and a program that wraps its server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

APP = "nox-api"
# What a load sends is told from what checks send by who says that it sends it.
WRAPPED = """\
import http from 'node:http';

const emit = http.Server.prototype.emit;
const fromUsers = (request) => request.headers['user-agent'] === 'load';
let struck = false;
http.Server.prototype.emit = function (event, request, response) {{
  if (event !== 'request') return Reflect.apply(emit, this, arguments);
  const go = () => Reflect.apply(emit, this, [event, request, response]);
  {behaviour}
}};
await import('./server.js');
"""
DIES_AFTER_HEALTH = "if (request.url.startsWith('/health')) return go(); return process.exit(1);"
DIES_UNDER_USERS = "if (fromUsers(request)) return process.exit(1); return go();"
SLOW_UNDER_USERS = """struck ||= fromUsers(request);
  return struck && !request.url.startsWith('/health') ? setTimeout(go, 12_000) : go();"""
RED_ON_ONE_PATH = """if (request.url !== '/api/user' || !request.headers.authorization) return go();
  return response.writeHead(500, { 'Content-Length': 0 }).end();"""
IGNORES_SIGTERM = """\
const on = process.on;
process.on = function (name, listener) {
  const heard = name === 'SIGTERM' ? () => {} : listener;
  return Reflect.apply(on, this, [name, heard]);
};
await import('./server.js');
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faulty:
    """A release that goes wrong.

    Args:
        version: Its version.
        base: The release that it is a copy of, without its migrations.
        follows: What it comes after.
        program: What is started instead of the server.
    """

    version: str
    base: str
    follows: str
    program: str


def wrapped(version: str, behaviour: str) -> Faulty:
    """Return a release after 7.0.0 whose server does something else with each request."""
    program = WRAPPED.format(behaviour=behaviour)
    return Faulty(version=version, base="7.0.0", follows="7.0.0", program=program)


FAULTY = (
    wrapped("7.0.1", DIES_AFTER_HEALTH),
    wrapped("7.0.2", DIES_UNDER_USERS),
    wrapped("7.0.3", SLOW_UNDER_USERS),
    wrapped("7.0.4", RED_ON_ONE_PATH),
    Faulty(version="8.0.5", base="8.0.0", follows="8.0.0", program=IGNORES_SIGTERM),
)


def write(root: Path, folder: Path, faulty: Iterable[Faulty] = FAULTY) -> None:
    """Write them to where ``CHANGEOVER_RELEASES`` finds them."""
    for each in faulty:
        text = (root / "apps" / APP / "releases" / each.base / "release.yml").read_text()
        release = yaml.safe_load(text.replace(f"version: {each.base}", f"version: {each.version}"))
        for absent in ("guide", "direct", "manual"):
            release.pop(absent, None)
        release["follows"] = [each.follows]
        web = release["processes"]["web"]
        place = web["command"][1].replace("server.js", "faulty.js")
        web["command"][1], web["drain_seconds"] = place, 3
        target = folder / APP / each.version
        (target / place).parent.mkdir(parents=True)
        (target / place).write_text(each.program)
        (target / "release.yml").write_text(yaml.safe_dump(release, sort_keys=False))
