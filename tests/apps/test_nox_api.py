import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

APP = Path(__file__).parents[2] / "apps" / "nox-api"
BROKEN = Path(__file__).parents[1] / "releases" / "nox-api" / "8.0.1"
# what the unit gives to every app beside its variables
UNIT_VARIABLES = {"SOCKET_DIRECTORY", "RELEASE_VERSION", "RELEASE_COLOUR"}
DEVELOPMENT_VARIABLES = {"HOST", "PORT", "WEBSOCKET_PORT", "METRICS_PORT"}


def release(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((folder / "release.yml").read_text())
    return document


@pytest.fixture(scope="module")
def dependencies() -> None:
    """Install what package-lock.json pins, unless just that is there."""
    wanted = json.loads((APP / "package-lock.json").read_text())["packages"]
    installed = APP / "node_modules" / ".package-lock.json"
    if installed.exists():
        found = json.loads(installed.read_text())["packages"]
        versions = {path: entry["version"] for path, entry in found.items()}
        if versions == {path: entry["version"] for path, entry in wanted.items() if path}:
            return
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=APP, check=True)


@pytest.mark.postgres
@pytest.mark.usefixtures("dependencies")
@pytest.mark.parametrize("file", sorted(path.name for path in (APP / "test").glob("*.test.js")))
def test_the_app_passes_its_own_tests(file: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"}

    done = subprocess.run(
        ["node", "--test", "--test-reporter=spec", f"test/{file}"],
        cwd=APP,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.mark.usefixtures("dependencies")
@pytest.mark.parametrize("version", ["6.0.0", "7.0.0", "8.0.0"])
def test_a_release_declares_just_what_its_program_reads(version: str) -> None:
    module = f"./src/v{version[0]}/settings.js"
    script = f"import('{module}').then((m) => console.log(JSON.stringify(m.DECLARATIONS)))"
    printed = subprocess.run(
        ["node", "--eval", script], cwd=APP, capture_output=True, text=True, check=True
    )
    read = json.loads(printed.stdout)

    declared = release(APP / "releases" / version)["environment"]["variables"]

    assert declared.keys() == read.keys()
    for name, variable in declared.items():
        assert variable["type"] == read[name]["type"], name
        assert variable.get("default") == read[name].get("default"), name
        for bound in ("minimum", "maximum", "choices"):
            assert variable.get(bound) == read[name].get(bound), (name, bound)


def test_no_variable_is_read_past_the_declarations() -> None:
    found = set()
    for source in (APP / "src").rglob("*.js"):
        found |= set(re.findall(r"\b(?:process\.env|environment)\.([A-Z_]+)", source.read_text()))

    assert found <= UNIT_VARIABLES | DEVELOPMENT_VARIABLES


def test_the_lock_names_no_registry() -> None:
    assert "resolved" not in (APP / "package-lock.json").read_text()


def test_the_broken_release_differs_from_8_in_one_source_file() -> None:
    good, broken = release(APP / "releases" / "8.0.0"), release(BROKEN)

    assert broken["environment"]["variables"] == good["environment"]["variables"]
    for section in ("code", "build", "processes", "nginx"):
        assert broken[section] == good[section]
    overlay = [path for path in (BROKEN / "src").rglob("*") if path.is_file()]
    assert [path.relative_to(BROKEN).as_posix() for path in overlay] == ["src/v8/rate_identity.js"]
    assert (APP / "src/v8/rate_identity.js").is_file()
