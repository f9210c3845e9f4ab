"""Tell everything that a deployment may change on a host, one line each. Runs there; standard library only.

What it prints is a JSON object: a list of lines, each beginning with what it is about.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import socket
import stat
import subprocess
import sys
from pathlib import Path

APP = sys.argv[1] if len(sys.argv) > 1 else "app"
DATABASE = sys.argv[2] if len(sys.argv) > 2 else ""
ROWS = sys.argv[3:]
FOLDERS = (
    f"/opt/{APP}",
    "/etc/changeover",
    "/etc/nginx",
    "/etc/systemd/system",
    "/etc/tmpfiles.d",
    f"/run/{APP}",
    "/run/changeover",
    "/run/systemd/transient",
    "/var/lib/changeover",
    "/var/backups/changeover",
    "/var/lib/haproxy",
)
BALANCER = Path("/run/haproxy/admin.sock")
LONGEST = 1 << 20
TEXT_KINDS = (".json", ".service", ".timer", ".conf", ".env")
UNITS = (f"{APP}-*", "changeover-*")
ASKED = "Id,LoadState,ActiveState,SubState,Result,NRestarts,Transient"
ROLES = (
    "SELECT 'role ' || rolname || ' login ' || rolcanlogin || ' limit ' || rolconnlimit"
    " FROM pg_roles WHERE rolname !~ '^pg_'"
)
DATABASES = (
    "SELECT 'database ' || datname || ' of ' || pg_get_userbyid(datdba) || ' open ' || datallowconn"
    " || ' limit ' || datconnlimit FROM pg_database"
)
SETTINGS = (
    "SELECT 'setting ' || coalesce(datname, '-') || ' ' || coalesce(rolname, '-') || ' '"
    " || setconfig::text FROM pg_db_role_setting LEFT JOIN pg_database d ON d.oid = setdatabase"
    " LEFT JOIN pg_roles r ON r.oid = setrole"
)
# The app itself is signed in all the while; whoever else is has been left behind.
SESSIONS = (
    "SELECT 'session ' || application_name || ' of ' || usename || ' ' || coalesce(datname, '')"
    " FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    " AND application_name ~ '^changeover'"
)
LOCKS = "SELECT 'advisory lock ' || objid FROM pg_locks WHERE locktype = 'advisory'"
PREPARED = "SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts"
SLOTS = "SELECT 'replication slot ' || slot_name FROM pg_replication_slots"
INVALID = "SELECT 'invalid index ' || indexrelid::regclass FROM pg_index WHERE NOT indisvalid OR NOT indisready"
# Neither who ran a statement, when and for how long, nor whether it was done or found done.
LEDGER = (
    """SELECT 'migration', id, release, phase, checksum, state, statements
    FROM changeover.migration ORDER BY position""",
    """SELECT 'statement', migration_id, direction, number, state, before, cursor, rows_done, md5(sql)
    FROM changeover.statement ORDER BY migration_id, direction, number""",
)


def said(*words: str) -> str:
    """Return what a program prints; a red one is told as its exit code."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else f"exit {done.returncode}: {done.stderr}"


def content(path: Path, size: int) -> str:
    """Return a small text as it is, anything else as its digest."""
    raw = path.read_bytes()
    if size <= LONGEST and path.suffix in TEXT_KINDS and not path.name.endswith(".env"):
        return json.dumps(raw.decode(errors="replace"))
    return hashlib.sha256(raw).hexdigest()


def entry(path: Path) -> str:
    """Return the line of one directory entry."""
    found = path.lstat()
    whose = f"{stat.filemode(found.st_mode)} {found.st_uid}:{found.st_gid}"
    if stat.S_ISLNK(found.st_mode):
        return f"link {path} -> {path.readlink()}"
    if stat.S_ISREG(found.st_mode):
        return f"file {path} {whose} {content(path, found.st_size)}"
    return f"entry {path} {whose}"


def files() -> list[str]:
    """Return a line for everything below the folders."""
    found = []
    for folder in FOLDERS:
        for top, directories, names in os.walk(folder):
            for name in (*directories, *names):
                try:
                    found.append(entry(Path(top) / name))
                except OSError as error:
                    found.append(f"entry {top}/{name} {error.strerror}")
    return found


def units() -> list[str]:
    """Return a line for each unit of the app or of ours, and for each timer."""
    shown = said("systemctl", "show", *UNITS, f"--property={ASKED}")
    parts = [" ".join(part.split("\n")) for part in shown.strip().split("\n\n")]
    failed = said("systemctl", "list-units", "--failed", "--plain", "--no-legend").splitlines()
    timers = said("systemctl", "list-timers", "--all", "--plain", "--no-legend", "changeover-*")
    names = [name for line in timers.splitlines() for name in line.split()[-2:]]
    return [
        *(f"unit {part}" for part in parts if part),
        *(f"failed {line.split()[0]}" for line in failed),
        *(f"timer {name}" for name in names),
    ]


def processes() -> list[str]:
    """Return a line for each process of the app's account, and for each agent."""
    found = []
    account = (
        pwd.getpwnam(APP).pw_uid if any(each.pw_name == APP for each in pwd.getpwall()) else -1
    )
    for each in Path("/proc").iterdir():
        if not each.name.isdigit() or int(each.name) == os.getpid():
            continue
        try:
            words = (each / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            owner = each.stat().st_uid
        except OSError:
            continue
        if owner == account or "lib/changeover/agent" in words:
            found.append(f"process {words}")
    return found


def sockets() -> list[str]:
    """Return a line for each listening socket."""
    local = said("ss", "-Hxl").splitlines()
    names = [word for line in local for word in line.split() if word.startswith("/run/")]
    ports = [line.split()[3] for line in said("ss", "-Htln").splitlines() if len(line.split()) > 3]
    return [f"listens {name}" for name in (*names, *ports)]


def balancer() -> list[str]:
    """Return a line for each server of a balancer: whether it is out of use by command."""
    if not BALANCER.exists():
        return []
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(10)
        asked.connect(str(BALANCER))
        asked.sendall(b"show servers state\n")
        told = b"".join(iter(lambda: asked.recv(1 << 16), b"")).decode()
    header, *rows = [line.removeprefix("# ").split() for line in told.splitlines()[1:] if line]
    each = [dict(zip(header, row, strict=False)) for row in rows]
    return [f"server {one['be_name']}/{one['srv_name']} {one['srv_admin_state']}" for one in each]


def ask(query: str, database: str = "postgres") -> list[str]:
    """Return the rows of a query, as the server's administrator."""
    os.chdir("/")
    told = said("runuser", "-u", "postgres", "--", "psql", "-XAtq", "-d", database, "-c", query)
    return told.splitlines()


def dumped(*options: str) -> list[str]:
    """Return a dump of the app's database but for its random words."""
    told = said("runuser", "-u", "postgres", "--", "pg_dump", *options, DATABASE)
    lines = told.splitlines()
    return [
        line for line in lines if line and not line.startswith(("--", "\\restrict", "\\unrestrict"))
    ]


def database() -> list[str]:
    """Return a line for each database, role, setting, column, ledger row and query of rows."""
    found = [line for query in (DATABASES, ROLES, SETTINGS, SESSIONS, LOCKS) for line in ask(query)]
    found += [line for query in (PREPARED, SLOTS) for line in ask(query)]
    found += [line for query in (INVALID, *LEDGER) for line in ask(query, DATABASE)]
    for query in ROWS:
        found += [f"rows {query} {line}" for line in ask(query, DATABASE)]
    schema = dumped("--schema-only", "--exclude-schema=changeover")
    order = hashlib.sha256("\n".join(schema).encode()).hexdigest()
    return [*found, *(f"schema {line}" for line in schema), f"schema in order {order}"]


if __name__ == "__main__":
    lines = [*files(), *units(), *processes(), *sockets(), *balancer()]
    sys.stdout.write(json.dumps(sorted([*lines, *(database() if DATABASE else [])])))
