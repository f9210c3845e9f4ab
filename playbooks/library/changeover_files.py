#!/usr/bin/python3
"""Bring many directories and files of a host to their declared state with one question to it.

Ansible's own modules cost two round trips a file, and there are thirty files. This one takes them all,
each with its rendered content, needs nothing but Python, and writes nothing of what it gets to the log.

Arguments: ``directories`` (``path``, ``owner``, ``group``, ``mode``), ``files`` (the same with ``content``;
``validate``, a command with ``%s`` that must accept a file before any is written; ``secret``, whose
content is in no difference) and ``absent`` (paths). Owner and group default to root, modes to 0755 and 0644.
``due`` is a file that names what was changed and no handler has put into force yet: it is written before each
change, its handler removes it, and while it is there its paths count as changed, so that a handler that failed or
was never reached is notified again. It belongs under /run: what boots has read its files.
Answer: ``changed``, ``paths`` (what was changed, or would be, in order) and ``diff``.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import shlex
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# Ansible puts its JSON in the place of the mark. JSON has never three quotes in a row.
GIVEN = r"""<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"""
VALIDATE_SECONDS = 60
Entry = dict[str, Any]


class Refused(Exception):
    """Something cannot be as it was declared."""


class Host:
    """The files of this host, and what was done to them."""

    def __init__(self, *, check: bool, due: str | None) -> None:
        self.check = check
        self.due = Path(due) if due else None
        self.left = self.due.read_text().splitlines() if self.due and self.due.exists() else []
        self.paths: list[str] = []
        self.differences: list[dict[str, str]] = []

    def directory(self, entry: Entry) -> None:
        """Make a directory and those above it, or give it its owner and mode back."""
        path = Path(entry["path"])
        before = attributes(path)
        wanted = declared(entry, "0755", "directory")
        if before == wanted:
            return
        if before and not before.startswith("directory"):
            raise Refused(f"{path} is no directory")
        self.tell(entry["path"], before, wanted)
        if not self.check:
            path.mkdir(parents=True, exist_ok=True)
            own(path, entry, "0755")

    def file(self, entry: Entry) -> None:
        """Write a file where its content differs; else give it its owner and mode back."""
        path = Path(entry["path"])
        before, wanted = attributes(path), declared(entry, "0644", "file")
        if before.startswith("directory"):
            raise Refused(f"{path} is a directory")
        old = path.read_bytes() if before.startswith("file") else b""
        new = entry["content"].encode()
        same = old == new and before.startswith("file")
        if same and before == wanted:
            return
        was, will = old.decode("utf-8", "replace"), entry["content"]
        if entry.get("secret"):
            was, will = "(not shown)\n", "(not shown)\n" if same else "(another, not shown)\n"
        if before != wanted:
            was, will = f"{before}\n{was}" if before else was, f"{wanted}\n{will}"
        self.tell(entry["path"], was, will)
        if self.check:
            return
        if same:
            own(path, entry, "0644")
        else:
            replace(path, new, entry)

    def absent(self, path: str) -> None:
        """Remove a file or a link."""
        if os.path.lexists(path):
            self.tell(path, "there\n", "")
            if not self.check:
                Path(path).unlink()

    def tell(self, path: str, before: str, after: str) -> None:
        """Remember a change, for the next run too: this one may end before it is in force."""
        if self.due and not self.check and path not in self.left:
            self.due.parent.mkdir(parents=True, exist_ok=True)
            with self.due.open("a") as stream:
                stream.write(f"{path}\n")
        self.note(path, before, after)

    def recall(self) -> None:
        """Tell what an earlier run changed and did not put into force."""
        for path in self.left:
            if path not in self.paths:
                self.note(path, "written, and not in force yet\n", "in force\n")

    def note(self, path: str, before: str, after: str) -> None:
        """Have a path in the answer."""
        self.paths.append(path)
        header = {"before_header": path, "after_header": path}
        self.differences.append({"before": before, "after": after, **header})


def attributes(path: Path) -> str:
    """Return what a path is, whose, and its mode, as words; empty where there is nothing."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return ""
    kind = "directory" if stat.S_ISDIR(found.st_mode) else "link"
    kind = "file" if stat.S_ISREG(found.st_mode) else kind
    return f"{kind} {found.st_uid}:{found.st_gid} {stat.S_IMODE(found.st_mode):04o}"


def declared(entry: Entry, mode: str, kind: str) -> str:
    """Return the same words for what is declared."""
    user, group = identities(entry)
    return f"{kind} {user}:{group} {int(entry.get('mode', mode), 8):04o}"


def identities(entry: Entry) -> tuple[int, int]:
    """Return the numbers of the declared owner and group."""
    try:
        user = pwd.getpwnam(entry.get("owner", "root")).pw_uid
        return user, grp.getgrnam(entry.get("group", "root")).gr_gid
    except KeyError as error:
        raise Refused(f"{entry['path']}: {error.args[0]}") from error


def own(path: Path, entry: Entry, mode: str) -> None:
    """Give a path its declared owner and mode."""
    os.chown(path, *identities(entry), follow_symlinks=False)
    path.chmod(int(entry.get("mode", mode), 8))


def validate(entry: Entry) -> None:
    """Have a program judge what differs: nothing is written unless all of it will do."""
    if not isinstance(entry["content"], str):
        raise Refused(f"{entry['path']}: {entry['content']!r} is no text")
    path, content = Path(entry["path"]), entry["content"].encode()
    command = shlex.split(entry.get("validate") or "")
    if not command or (path.is_file() and path.read_bytes() == content):
        return
    with tempfile.NamedTemporaryFile(prefix="changeover-") as trial:
        trial.write(content)
        trial.flush()
        ran = subprocess.run(
            [word.replace("%s", trial.name) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=VALIDATE_SECONDS,
            check=False,
        )
    if ran.returncode != 0:
        said = ran.stdout.decode("utf-8", "replace").replace(trial.name, str(path)).strip()
        raise Refused(f"{path} was not written, {command[0]} refused it: {said}")


def replace(path: Path, content: bytes, entry: Entry) -> None:
    """Put a whole new file in the place of the old one."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        own(fresh, entry, "0644")
        stream.flush()
        os.fsync(descriptor)
    fresh.rename(path)


def main(given: dict[str, Any]) -> dict[str, Any]:
    """Do everything in order: directories, files, absences."""
    host = Host(check=bool(given.get("_ansible_check_mode")), due=given.get("due"))
    failure: dict[str, Any] = {}
    try:
        for entry in given.get("directories") or ():
            host.directory(entry)
        for entry in given.get("files") or ():
            validate(entry)
        for entry in given.get("files") or ():
            host.file(entry)
        for path in given.get("absent") or ():
            host.absent(path)
        host.recall()
    except (Refused, OSError, subprocess.TimeoutExpired) as error:
        failure = {"failed": True, "msg": str(error)}
    answer = {"changed": bool(host.paths), "paths": host.paths, **failure}
    return {**answer, "diff": host.differences} if given.get("_ansible_diff") else answer


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(GIVEN))))
