"""The documents say what the program does: verbs, options, links, commands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from changeover.cli.application import VERBS, application
from changeover.errors import ChangeoverError

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted(DOCS.rglob("*.md"))
DOCUMENTS = [README, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *PAGES]
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
FENCED = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
OPTION = re.compile(r"--[a-z][a-z-]*")


@cache
def commands() -> dict[str, Any]:
    """Return every command by the words that call it: ``deploy``, ``backup create``."""
    found: dict[str, Any] = {}
    for verb in VERBS:
        root: Any = typer.main.get_command(application(verb.name))
        command = root.commands[verb.name]
        inner = getattr(command, "commands", None)
        found |= {verb.name: command} if inner is None else {}
        found |= {f"{verb.name} {name}": each for name, each in (inner or {}).items()}
    return found


def options_of(words: str) -> set[str]:
    parameters = commands()[words].params
    return {
        name
        for each in parameters
        if each.param_type_name == "option"
        for name in each.opts
        if name.startswith("--")
    }


def section(words: str) -> str:
    """Return what a verb's page says of one command: the whole page where it has no other."""
    verb, _, inner = words.partition(" ")
    text = (DOCS / "verbs" / f"{verb}.md").read_text()
    if not inner:
        return text
    assert f"## `changeover {words}`\n" in text, f"{verb}.md has no section on {words}"
    return text.partition(f"## `changeover {words}`\n")[2].partition("\n## ")[0]


def called(words: list[str]) -> str | None:
    """Return which command these words call, if they call one."""
    pair = " ".join(words[1:3])
    if pair in commands():
        return pair
    return words[1] if len(words) > 1 and words[1] in commands() else None


def lines_typed() -> list[tuple[Path, str]]:
    """Return every line of the documents' shell blocks that calls the program."""
    return [
        (path, line)
        for path in DOCUMENTS
        for block in FENCED.finditer(path.read_text())
        if block["kind"] == "sh"
        for line in block["text"].splitlines()
        if line.startswith("changeover ")
    ]


def spans_typed() -> list[tuple[Path, str]]:
    return [
        (path, span)
        for path in DOCUMENTS
        for span in SPAN.findall(FENCED.sub("", path.read_text()))
        if span.startswith("changeover ")
    ]


@pytest.mark.parametrize("words", sorted(commands()))
def test_a_page_lists_the_options_that_a_command_has_and_no_others(words: str) -> None:
    rows = re.findall(r"^\| `(--[a-z-]+)", section(words), re.MULTILINE)

    assert sorted(rows) == sorted(options_of(words))


@pytest.mark.parametrize("words", sorted(commands()))
def test_a_synopsis_names_every_option_and_argument(words: str) -> None:
    block = next(found for found in FENCED.finditer(section(words)) if found["kind"] == "text")
    arguments = [each for each in commands()[words].params if each.param_type_name == "argument"]
    typed = " ".join(block["text"].split())

    after = typed.removeprefix(f"changeover {words}").partition("--")[0]

    assert typed.startswith(f"changeover {words}")
    assert set(OPTION.findall(typed)) == options_of(words)
    assert len(re.findall(r"[A-Z]+", after)) == len(arguments)


@pytest.mark.parametrize("page", sorted((DOCS / "verbs").glob("*.md")), ids=lambda page: page.stem)
def test_every_option_that_a_verbs_page_names_exists(page: Path) -> None:
    known = set().union(*(options_of(words) for words in commands()))
    spans = SPAN.findall(FENCED.sub("", page.read_text()))
    named = {span.split()[0] for span in spans if span.startswith("--")}

    assert page.stem in {verb.name for verb in VERBS}
    assert named - known == set()


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_a_page_says_what_is_changed_when_it_is_red_and_how_it_ends(verb: str) -> None:
    text = (DOCS / "verbs" / f"{verb}.md").read_text()

    assert text.startswith(f"# changeover {verb}\n")
    for heading in ("What it changes, and what not", "Exit codes", "Example", "When it is red"):
        assert f"\n## {heading}\n" in text
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert 0 in codes
    assert codes <= exit_codes()


def exit_codes() -> set[int]:
    """Return the exit codes of the contract."""
    return {0, *(category.exit_code for category in ChangeoverError.__subclasses__())}


@pytest.mark.parametrize("page", [README, DOCS / "ci.md"], ids=lambda page: page.name)
def test_the_table_of_exit_codes_is_whole(page: Path) -> None:
    codes = re.findall(r"^\| (\d+) \|", page.read_text(), re.MULTILINE)

    assert {int(code) for code in codes} == exit_codes()


@pytest.mark.parametrize(
    ("path", "line"),
    [pytest.param(*each, id=f"{each[0].name}-{each[1]}") for each in lines_typed()],
)
def test_the_program_understands_what_an_example_types(path: Path, line: str) -> None:
    words = shlex.split(line, comments=True)
    if line in SAFE:
        return
    command = called(words)

    assert command, f"{path.name}: {line} calls nothing"
    commands()[command].make_context(command, words[1 + len(command.split()) :])


@pytest.mark.parametrize(
    ("path", "span"),
    sorted({(path.name, span) for path, span in spans_typed()}),
)
def test_a_command_in_a_sentence_exists_with_its_options(path: str, span: str) -> None:
    words = span.split()
    groups = {verb.name for verb in VERBS}
    command = called(words)

    assert words[1] in groups, f"{path}: {span}"
    if command:
        assert set(OPTION.findall(span)) <= options_of(command)
    else:
        assert len(words) == 2, f"{path}: {span} calls nothing"


def shell_lines() -> list[tuple[Path, str]]:
    """Return every line that the documents' shell blocks type."""
    return [
        (path, line)
        for path in DOCUMENTS
        for block in FENCED.finditer(path.read_text())
        if block["kind"] == "sh"
        for line in block["text"].splitlines()
        if line and not line.startswith("#")
    ]


@pytest.mark.parametrize(
    ("path", "line"),
    [pytest.param(*each, id=f"{each[0].name}-{each[1]}") for each in shell_lines()],
)
def test_what_a_shell_block_types_is_there(path: Path, line: str) -> None:
    words = shlex.split(line, comments=True)
    known = {"changeover", "export", ""}  # a lone dot names nothing

    if "/" in words[0] and not words[0].startswith(".venv/"):
        assert (ROOT / words[0]).stat().st_mode & 0o111, f"{path.name}: {line}"
    elif words[0] == "cp":
        assert (ROOT / words[-2]).exists(), f"{path.name}: {line}"
    else:
        assert Path(words[0]).name in known | PROGRAMS, f"{path.name}: {line}"


def test_the_readme_puts_the_program_where_it_is_found_before_it_types_it() -> None:
    typed = [line for path, line in shell_lines() if path == README]

    first = next(index for index, line in enumerate(typed) if line.startswith("changeover "))
    assert typed[:first][-2:] == ["scripts/install", ". .venv/bin/activate"]


PROGRAMS = {"fab", "python", "ansible-vault", "ssh-keygen", "ssh-keyscan", "age-keygen", "openssl"}
SAFE = ("changeover --help", "changeover --version")


@pytest.mark.parametrize("line", SAFE)
def test_what_the_readme_types_first_runs(line: str) -> None:
    blocks = [found["text"] for found in FENCED.finditer(README.read_text())]

    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(line)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert any(line in block.splitlines() for block in blocks)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def anchors(path: Path) -> set[str]:
    """Return the ids that headings get: lower case, without punctuation, dashes for spaces."""
    titles = re.findall(r"^#+ (.*)$", FENCED.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(FENCED.sub("", path.read_text())):
        file, _, anchor = target.partition("#")
        place = (path.parent / file).resolve() if file else path
        assert place.exists(), f"{path.name} -> {target}"
        assert not anchor or anchor in anchors(place), f"{path.name} -> {target}"


def test_the_index_leads_to_every_page() -> None:
    text = (DOCS / "README.md").read_text()
    linked = {(DOCS / target.partition("#")[0]).resolve() for target in LINK.findall(text)}

    assert {page for page in PAGES if page != DOCS / "README.md"} - linked == set()


def test_the_tasks_of_the_fabfile_are_those_of_the_page_on_call() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "fab", "-r", "scripts", "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    text = (DOCS / "on-call.md").read_text().partition("## Fabric tasks")[2]

    listed = re.findall(r"^  (\w+)  ", done.stdout, re.MULTILINE)
    assert sorted(listed) == sorted(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def test_a_failure_of_a_task_ends_as_that_of_the_verb() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "fab", "-r", "scripts", "status", "--env", "nowhere"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert "there is no environment nowhere" in done.stderr


def test_the_page_on_pipelines_names_every_event_of_a_run() -> None:
    """What verbs answer is told on their own pages; this is what goes on meanwhile."""
    package = ROOT / "src" / "changeover"
    folders = ("runner", "executors", "remote")
    sources = [path for folder in folders for path in (package / folder).rglob("*.py")]
    sources += [*package.glob("*.py"), package / "drill" / "trial.py"]
    told = re.compile(r'"type": "([a-z-]+)"|_tell\("([a-z-]+)"|^TYPE = "([a-z-]+)"', re.MULTILINE)
    found = {"".join(each) for path in sources for each in told.findall(path.read_text())}
    named = set(SPAN.findall((DOCS / "ci.md").read_text()))
    case_of_junit = {"red"}

    assert {"host-silent", "drained", "canary"} <= found
    assert found - named - case_of_junit == set()
