"""Bundles of releases in Python: wheels that pip takes from a folder, programs that really run."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from changeover import bundle, release
from changeover.bundle.python_lock import LockUnfit, require_pinned
from changeover.errors import InvalidInput

from .offered import GREETER, Offered

if TYPE_CHECKING:
    from tests.unit.conftest import Project

    from changeover.bundle import Bundle

CHECKOUT = Path(__file__).resolve().parents[3]
VERSION = "2.0.0"
PATHS = "import greeter, json, sys; print(json.dumps([greeter.__file__, *sys.path]))"
RELEASE = """
version: 2.0.0
summary: Greets with installed wheels
code: [requirements.lock]
build: {kind: python}
processes:
  web: {command: [greet, --loud], sockets: [http], health: {socket: http, path: /health}}
migrator: {command: [python, -m, greeter], status: [/usr/bin/true]}
"""


@pytest.fixture
def offered(tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch) -> Offered:
    """Offer pip one folder and nothing else; the app runs on Python."""
    owner = project.root / "apps/hello/app.yml"
    project.edit(owner, "{kind: node, packages: [nodejs, npm]}", '{kind: python, version: "3.11"}')
    project.edit(owner, "owner: hello_owner,", "owner: hello_owner, migrates_itself: true,")
    file = project.release_file(VERSION)
    file.write_text(RELEASE)
    (file.parent / "migrations/expand/001_greetings.sql").unlink()
    templates = project.root / "templates"
    place = "etc/systemd/system/app.service.j2"
    (templates / place).write_text((CHECKOUT / "templates" / place).read_text())
    folder = tmp_path / "offered"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return Offered(folder)


def built(project: Project, key: Path, lock: str, output: str = "bundles") -> Bundle:
    (project.root / "apps/hello/requirements.lock").write_text(lock)
    one = release.load_release(project.root, "hello", VERSION)
    return bundle.build(project.root, project.app, one, key, output=project.root / output)


def unpacked(made: Bundle, place: Path) -> Path:
    with tarfile.open(made.path) as archive:
        archive.extractall(place, filter="data")
    return place


def test_its_programs_run_with_its_packages_and_none_of_the_host_s(
    project: Project, signing_key: Path, offered: Offered, tmp_path: Path
) -> None:
    offered.wheel("greeter", GREETER, scripts={"greet": "greeter:main", "python": "greeter:main"})
    place = unpacked(built(project, signing_key, offered.lock), tmp_path / "unpacked")
    code = place / "code"
    packages = code / ".python/packages"

    def said(*words: str) -> str:
        return subprocess.run(
            words, cwd=code, env={"PYTHONPATH": "src"}, check=True, capture_output=True, text=True
        ).stdout

    assert said(f"{code}/.python/bin/greet") == f"hello {packages}/greeter/__init__.py\n"
    imported, *searched = json.loads(said(".python/bin/python", "-c", PATHS))
    assert imported == f"{packages}/greeter/__init__.py"
    assert searched[:3] == ["", str(packages), f"{code}/src"]
    assert [path for path in searched if "dist-packages" in path or "site-packages" in path] == []
    assert list(place.rglob("__pycache__")) == []
    recorded = (packages / "greeter-1.0.dist-info/RECORD").read_text().splitlines()
    assert all((packages / line.partition(",")[0]).is_file() for line in recorded), recorded
    unit = (place / "units/web.service").read_text().splitlines()
    assert 'ExecStart="/opt/hello/releases/%i/code/.python/bin/greet" "--loud"' in unit
    assert json.loads((place / "manifest.json").read_text())["migrator"]["command"] == [
        *(".python/bin/python", "-m", "greeter")
    ]
    (listed,) = json.loads((place / "sbom.cdx.json").read_text())["components"]
    assert (listed["purl"], listed["licenses"]) == (
        *("pkg:pypi/greeter@1.0", [{"license": {"name": "MIT"}}]),
    )
    assert listed["hashes"][0]["content"] == offered.pinned["greeter==1.0"]


def test_the_same_lock_gives_the_same_bytes_wherever_wheels_come_from(
    project: Project, signing_key: Path, offered: Offered, tmp_path: Path
) -> None:
    offered.wheel("greeter", GREETER, scripts={"greet": "greeter:main"})
    first = built(project, signing_key, offered.lock, "one")
    moved = offered.folder.rename(tmp_path / "elsewhere")
    kept = built(project, signing_key, offered.lock, "two")
    (project.root / "build").rename(project.root / "build-before")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PIP_FIND_LINKS", str(moved))
        anew = built(project, signing_key, offered.lock, "three")

    assert (kept.built, anew.built) == (True, True)
    assert first.digest == kept.digest == anew.digest
    with tarfile.open(anew.path) as archive:
        files = [stream.read() for each in archive if (stream := archive.extractfile(each))]
    for place in (str(tmp_path), sys.executable, "://"):
        assert [content for content in files if place.encode() in content] == []


def other_content(offered: Offered) -> str:
    offered.wheel("greeter", GREETER)
    lock = offered.lock
    offered.wheel("greeter", {"greeter/__init__.py": "changed = True\n"})
    return lock


def other_system(offered: Offered) -> str:
    offered.wheel("greeter", GREETER, tag="cp311-cp311-macosx_11_0_arm64")
    return offered.lock


def newer_glibc(offered: Offered) -> str:
    offered.wheel("greeter", GREETER, tag="cp311-cp311-manylinux_2_39_x86_64")
    return offered.lock


def source_alone(offered: Offered) -> str:
    (offered.folder / "greeter-1.0.tar.gz").write_bytes(b"")
    return f"greeter==1.0 --hash=sha256:{'0' * 64}\n"


def one_left_out(offered: Offered) -> str:
    offered.wheel("words", {"words.py": ""})
    offered.pinned.clear()
    offered.wheel("greeter", GREETER, requires=["words>=1"])
    return offered.lock


def without_program(offered: Offered) -> str:
    offered.wheel("greeter", GREETER)
    return offered.lock


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (other_content, "greeter==1.0 of 2.0.0 is not the package that requirements.lock pins"),
        (other_system, "no wheel of greeter==1.0 fits Python 3.11 on"),
        (newer_glibc, "no wheel of greeter==1.0 fits Python 3.11 on"),
        (source_alone, "no wheel of greeter==1.0 fits Python 3.11 on"),
        (one_left_out, "requirements.lock of 2.0.0 is not complete: it lacks words"),
        (without_program, "processes.web.command of 2.0.0 names greet, and the bundle has python"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_is_not_as_pinned_is_told_with_the_next_step(
    project: Project, signing_key: Path, offered: Offered, prepare: object, said: str
) -> None:
    assert callable(prepare)
    with pytest.raises(InvalidInput) as caught:
        built(project, signing_key, prepare(offered))

    assert said in caught.value.message
    assert (caught.value.exit_code, bool(caught.value.hint)) == (2, True)
    assert list((project.root / "bundles").glob("*")) == []


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        ("", "pins nothing"),
        ("# a note\n--index-url https://example.test/simple\n", ":2: --index-url is an option"),
        ("a @ https://example.test/a.whl --hash=sha256:00", ":1: it names an address"),
        ("a==1 \\\n  --hash=sha256:00\nb>=1 --hash=sha256:00", ":3: b>=1 is not pinned"),
        ("a==1.* --hash=sha256:00", r":1: a==1.* is not pinned"),
        ("a==1  # --hash=sha256:00", ":1: a has no sha256 hash"),
        ("a==1 --hash=md5:00", ":1: a has no sha256 hash"),
    ],
)
def test_a_lock_that_leaves_something_open_is_refused(lock: str, said: str) -> None:
    with pytest.raises(LockUnfit) as caught:
        require_pinned(lock)

    assert said in caught.value.message


def test_a_lock_with_extras_markers_and_comments_is_read() -> None:
    require_pinned(
        'psycopg[binary]==3.2.1 ; python_version < "4" \\\n'
        "    --hash=sha256:00 \\\n    --hash=sha256:11\n    # via -r requirements.in\n"
    )
