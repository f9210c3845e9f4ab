"""Nothing waits for ever: each call that can wait says for how long, or here why it ends by itself."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).parents[2] / "src/changeover"
# What waits without a deadline of its own, by module and function, and what ends it.
ENDED_OTHERWISE = {
    "agent/backup/create:_dump": "Running.wait ends after QUERY_SECONDS by itself",
    "agent/backup/side_database:_load": "Running.wait ends after QUERY_SECONDS by itself",
    "agent/postgres/tools:run": "Running.wait ends after QUERY_SECONDS by itself",
    "agent/main:_apart": "the child's actions have deadlines; nobody waits for who waits here but a session",
    "drill/administrator:Administrator.__exit__": "the shell was killed",
    "drill/controller:Controller.follow": "its output has ended: it is at its own last lines",
    "drill/controller:end": "the command was killed",
    "drill/recording:Recording.begin": "the load client has ended or was killed",
    "drill/recording:Recording.end": "the load client was killed",
    "executors/migrate/backfill/walk:run_batches": "Pressure.wait ends at the run's deadline",
    "executors/migrate/session:answering": "the timer was cancelled, or is at a shutdown of a socket",
    "executors/migrate/turn:Turn.watched": "_watch has seen it done",
    "executors/preflight/__init__:apply": "it enters a database, with a connect timeout and guards",
    "executors/smoke/conversation:_Listening.ping_within": "within asyncio.timeout",
    "executors/smoke/together:run": "each check ends at its own deadlines",
    "executors/verify/__init__:_checks": "within _deadline, which kills the suite",
    "remote/fleet:on_each": "each request ends with its line's silence at the latest",
    "remote/line:Line.agent": "within hearing.answered_within, which closes the channel",
    "load/client:Load._worker": "the schedule ends with None for each worker",
    "load/sockets:Sockets.run": "until the load is stopped, which is what it is for",
    "load/sockets:Sockets._hold": "within asyncio.wait_for",
    "load/sockets:Sockets._one": "ends with the socket or the load, whichever is first",
    "load/sparse:Sparse._idle": "within asyncio.wait_for",
    "runner/deployment/proof:live": "it asks hosts, whose lines end with their silence",
    "remote/tunnel:_Forwarder._accept": "a thread of its own, ended by the shutdown of its listener",
}

# Without an argument they wait until something happens.
BARE = {"wait", "join", "result", "acquire", "select", "communicate", "get", "accept"}
# What takes its limit by the name timeout.
TIMED = {
    *(f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output")),
    *(f"requests.{name}" for name in ("get", "post", "put", "head", "delete", "request")),
    "urllib.request.urlopen",
    "urlopen",
}
LIMITS = {"timeout", "blocking", "block", "group"}  # the last: choosing among entry points
SOCKETS = {"socket.create_connection": 2}
# The first has no such parameter, and waits for the other side without a limit.
PARAMIKO = {"exec_command", "open_session", "open_channel"}
RAW = {"os.waitpid", "os.wait", "os.wait3", "os.wait4", "fcntl.flock", "fcntl.lockf"}
NOT_WAITING = {"LOCK_NB", "WNOHANG", "LOCK_UN"}


def waits(source: str) -> Iterator[tuple[str, int, str]]:
    """Yield function, line and text of every call that may wait for ever."""
    tree = ast.parse(source)
    for name, node in _calls(tree, "module"):
        if _endless(node):
            yield name, node.lineno, ast.unparse(node)


def _calls(tree: ast.AST, name: str) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.iter_child_nodes(tree):
        inner = name
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = node.name if name == "module" else f"{name}.{node.name}"
        if isinstance(node, ast.Call):
            yield name, node
        yield from _calls(node, inner)


def _endless(call: ast.Call) -> bool:
    said = ast.unparse(call.func)
    named = {keyword.arg for keyword in call.keywords}
    if said in TIMED:
        # **more may hold it: nobody can see that here, so it counts as missing
        return "timeout" not in named
    if said in SOCKETS:
        return len(call.args) < SOCKETS[said] and "timeout" not in named
    if said in RAW:
        words = {node.attr for node in ast.walk(call) if isinstance(node, ast.Attribute)}
        return not words & NOT_WAITING
    if isinstance(call.func, ast.Attribute) and call.func.attr in PARAMIKO:
        return "timeout" not in named
    bare = isinstance(call.func, ast.Attribute) and call.func.attr in BARE
    return bare and not call.args and not named & LIMITS


def found() -> dict[str, list[str]]:
    """Return where something waits for ever, by module and function."""
    where: dict[str, list[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        module = path.relative_to(SOURCE).with_suffix("").as_posix()
        for name, line, text in waits(path.read_text(encoding="utf-8")):
            where.setdefault(f"{module}:{name}", []).append(f"line {line}: {text}")
    return where


def test_every_wait_has_a_deadline_or_a_reason() -> None:
    missing = {where: calls for where, calls in found().items() if where not in ENDED_OTHERWISE}

    assert missing == {}, "give it a timeout, or say in ENDED_OTHERWISE what ends it"


def test_no_reason_is_left_from_before() -> None:
    assert set(ENDED_OTHERWISE) <= set(found())


@pytest.mark.parametrize(
    "call",
    [
        "subprocess.run(['true'])",
        "subprocess.check_output(['true'], text=True)",
        "process.wait()",
        "process.communicate(input=b'')",
        "thread.join()",
        "asked.result()",
        "queue.get()",
        "lock.acquire()",
        "selector.select()",
        "requests.get('https://example.org')",
        "requests.post('https://example.org', json={})",
        "socket.create_connection(('h', 1))",
        "channel.exec_command('true')",
        "transport.open_session()",
        "os.waitpid(1, 0)",
        "fcntl.flock(f, fcntl.LOCK_EX)",
        "urllib.request.urlopen('http://h')",
    ],
)
def test_what_may_wait_for_ever_is_found(call: str) -> None:
    assert list(waits(f"def work():\n    {call}\n"))


@pytest.mark.parametrize(
    "call",
    [
        "subprocess.run(['true'], timeout=5)",
        "process.wait(3)",
        "process.wait(timeout=left)",
        "process.communicate(timeout=5)",
        "thread.join(timeout=1)",
        "', '.join(words)",
        "values.get('key')",
        "lock.acquire(timeout=1)",
        "lock.acquire(blocking=False)",
        "requests.get('https://example.org', timeout=3)",
        "socket.create_connection(('h', 1), 5)",
        "os.waitpid(1, os.WNOHANG)",
        "fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)",
    ],
)
def test_what_ends_is_let_through(call: str) -> None:
    assert not list(waits(f"def work():\n    {call}\n"))


# A loop of a shell's, and what bounds it on its line: a program that kills it, or a count or a time.
LOOP = re.compile(r"^.*\b(?:until|while)\b.*;\s*do\b.*$", re.MULTILINE)
BOUND = re.compile(r"\btimeout \d|-(?:lt|le|gt|ge) ")
SHELL = ("src/changeover", "roles", "templates", "scripts", "playbooks", ".ci")


def unbounded(text: str) -> list[str]:
    return [line.strip() for line in LOOP.findall(text) if not BOUND.search(line)]


def test_every_loop_of_a_shell_ends() -> None:
    root = SOURCE.parents[1]
    paths = [path for name in SHELL for path in (root / name).rglob("*") if path.is_file()]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in paths]

    assert any(LOOP.search(text) for text in texts)
    assert [line for text in texts for line in unbounded(text)] == []
    assert unbounded("until pg_isready; do sleep 1; done")
    assert unbounded("while true; do :; done")
    assert not unbounded("timeout 60 sh -c 'until pg_isready; do sleep 1; done'")
