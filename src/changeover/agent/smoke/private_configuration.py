"""The host's Nginx configuration and a colour's site, rewritten for an instance of their own.

What users' requests meet stays as it is: TLS, redirects, headers, locations. What would touch the
live Nginx goes elsewhere: listeners become unix sockets, logs and the pid file lie beside them, and
the app's directory of sockets is the colour's own. Flags that the live site asks the file system
for, such as the one before a reload, are never set here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.agent.failure import ActionError
from changeover.agent.places import NGINX, Places
from changeover.agent.system import durable

if TYPE_CHECKING:
    from pathlib import Path

LISTEN = re.compile(r"(?<![\w$.-])listen\s+([^\s;]+)([^;]*);")
INCLUDE = re.compile(r"(?<![\w$.-])include\s+([^\s;]+);")
PID = re.compile(r"(?m)^\s*pid\s+[^;]+;")
WORKERS = re.compile(r"(?m)^\s*worker_processes\s+[^;]+;")
USER = re.compile(r"(?m)^\s*user\s+([a-z_][a-z0-9_-]*)")
HTTP = re.compile(r"(?m)^\s*http\s*\{")
# What a listener on a unix socket may say; the rest is about networks.
KEPT = {"ssl", "http2", "default_server"}
SITES = "sites-enabled/"
LOGS = "var/log/nginx"
# Which colour a request goes to: a link's name, or a variable of the site that gives one.
SERVED = r"(?:current|next|\$\{?\w+\}?)"
PID_FILE = "nginx.pid"
# Nothing is there, whoever asks: a worker may not look into root's own directories.
NOWHERE = "/nonexistent"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True, slots=True)
class Listener:
    """Where the host's Nginx listens for an app, by the text that provision left.

    Args:
        address: As it stands in the text, such as ``443`` or ``10.0.0.1:443``.
        options: What else is said there, such as ``ssl`` or ``proxy_protocol``.
    """

    address: str
    options: frozenset[str]

    @property
    def socket(self) -> str:
        """The name of the unix socket that stands for it."""
        return f"{re.sub('[^0-9A-Za-z]', '-', self.address)}.sock"


def listeners(root: Path, app: str, scheme: str) -> tuple[Listener, ...]:
    """Return where the host's Nginx listens for an app, over ``http`` or ``https``."""
    try:
        text = _included(root, app, f"listen_{scheme}.conf").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    return tuple(Listener(match[1], frozenset(match[2].split())) for match in LISTEN.finditer(text))


def write(places: Places, site: Path, colour: str, directory: Path) -> Path:
    """Write the configuration of an instance that serves a colour alone; return its first file.

    Args:
        places: The app's paths.
        site: The colour's site.
        colour: What the site's requests are sent to.
        directory: Where the instance lives; root's own.

    Raises:
        ActionError: ``nginx-invalid``; the host's configuration includes no sites.
    """
    whole = (places.root / NGINX / "nginx.conf").read_text(encoding="utf-8")
    if SITES not in whole:
        raise ActionError("nginx-invalid", "nginx.conf does not include sites-enabled")
    for path in sorted((places.root / NGINX / "changeover" / places.app).glob("*.conf")):
        text = _own(path, places, colour, directory)
        if path.name.startswith("listen_"):
            # Clients of the instance say who they are, as those behind a balancer do.
            text += "\nset_real_ip_from unix:;\n"
        durable.write(directory / path.name, text.encode())
    durable.write(directory / "site.conf", _own(site, places, colour, directory).encode())
    first = directory / "nginx.conf"
    durable.write(first, _main(whole, places, directory).encode())
    return first


def account(root: Path) -> str:
    """Return the account that the workers of the host's Nginx run as."""
    match = USER.search((root / NGINX / "nginx.conf").read_text(encoding="utf-8"))
    return match[1] if match else "nobody"


def _own(path: Path, places: Places, colour: str, directory: Path) -> str:
    """Return one of the app's files with the colour in the place of the live one."""
    text = _alone(path.read_text(encoding="utf-8"), places, directory)
    runtime = re.escape(str(places.runtime))
    text = re.sub(rf"{runtime}/{SERVED}/", f"{places.runtime}/{colour}/", text)
    others = rf"{runtime}/(?!{re.escape(colour)}/)"
    return _including(re.sub(others, f"{NOWHERE}/", text), places, directory)


def _main(text: str, places: Places, directory: Path) -> str:
    text = WORKERS.sub("worker_processes 1;", PID.sub("", _alone(text, places, directory)))
    temporary = "\n".join(
        f"    {kind}_temp_path {directory}/temporary-{kind};" for kind in TEMPORARY
    )
    own = f"\n    set_real_ip_from unix:;\n    real_ip_header proxy_protocol;\n{temporary}\n"
    text = HTTP.sub(lambda match: match[0] + own, text, count=1)
    head = f"pid {directory / PID_FILE};\ndaemon off;\n"
    return head + _including(text, places, directory)


def _alone(text: str, places: Places, directory: Path) -> str:
    """Return text whose listeners and logs lie in the instance's directory."""

    def listen(match: re.Match[str]) -> str:
        there = Listener(match[1], frozenset())
        kept = " ".join(word for word in match[2].split() if word in KEPT)
        return f"listen unix:{directory}/{there.socket} proxy_protocol {kept};"

    return LISTEN.sub(listen, text).replace(f"{places.root / LOGS}/", f"{directory}/")


def _including(text: str, places: Places, directory: Path) -> str:
    """Return text that includes the instance's own files in place of the live ones."""
    ours = f"{places.root / NGINX}/changeover/{places.app}/"

    def include(match: re.Match[str]) -> str:
        path = match[1]
        if SITES in path:
            path = f"{directory}/site.conf"
        elif path.startswith(ours):
            path = f"{directory}/{path.removeprefix(ours)}"
        elif not path.startswith("/"):
            path = f"{places.root / NGINX}/{path}"
        return f"include {path};"

    return INCLUDE.sub(include, text)


def told(said: str, directory: Path) -> str:
    """Return what Nginx said with the names of the files that a person knows."""
    return said.replace(f"{directory}/", "").replace(str(directory), "")


def _included(root: Path, app: str, name: str) -> Path:
    return root / NGINX / "changeover" / app / name
