"""Ansible and Python render every shared template to the same bytes."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from changeover import release
from changeover.bundle import building
from changeover.render import render

CHECKOUT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted(
    str(path.relative_to(CHECKOUT / "templates")) for path in (CHECKOUT / "templates").rglob("*.j2")
)
APP = "nox-api"
PLAYBOOK = [
    {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Render",
                "ansible.builtin.template": {
                    "src": "{{ item.template }}",
                    "dest": "{{ item.target }}",
                    "mode": "0644",
                },
                "vars": {
                    "app": "{{ item.given.app }}",
                    "release": "{{ item.given.release }}",
                    "process": "{{ item.given.process }}",
                },
                "loop": "{{ cases }}",
                "loop_control": {"label": "{{ item.target }}"},
            }
        ],
    }
]


def values_of_releases() -> dict[str, dict[str, Any]]:
    """Return the values of real releases, one process each, and of an odd one."""
    app = release.load_app(CHECKOUT, APP).model_dump(mode="json")
    found: dict[str, dict[str, Any]] = {}
    for version, one in release.load_releases(CHECKOUT, APP).items():
        name, process = next(iter(one.processes.items()))
        found[version] = {
            "app": app,
            "release": one.model_dump(mode="json"),
            "process": {"name": name, **process.model_dump(mode="json")},
        }
    odd = copy.deepcopy(found["8.0.0"])
    odd["app"] |= {"app": "odd-one", "runtime": {"kind": "python", "packages": []}}
    odd["process"] |= {
        "command": ["run it", '50%"', "$HOME", "back\\slash", "ümlaut"],
        "sockets": [],
        "memory_max": None,
    }
    odd["release"]["build"] = {"kind": "python"}
    odd["release"]["nginx"] |= {
        "http": "serve",
        "websocket": {"path": "/live/", "socket": "ws", "read_timeout": 60},
        "static": {"path": "/a+b/v1.2/", "directory": "public", "max_age": 0},
        "health": [],
        "security_headers": False,
    }
    found["odd"] = odd
    return found


VALUES = values_of_releases()
CASES = [(template, name) for template in TEMPLATES for name in VALUES]


@pytest.fixture(scope="session")
def rendered_by_ansible(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("ansible")
    cases = [
        {
            "template": str(CHECKOUT / "templates" / template),
            "target": str(directory / f"{name}-{Path(template).name}"),
            "given": VALUES[name],
        }
        for template, name in CASES
    ]
    (directory / "cases.json").write_text(json.dumps({"cases": cases}))
    (directory / "playbook.json").write_text(json.dumps(PLAYBOOK))
    done = subprocess.run(
        [
            Path(sys.executable).parent / "ansible-playbook",
            *("-i", "localhost,", "-e", f"@{directory}/cases.json"),
            *("-e", f"ansible_python_interpreter={sys.executable}"),
            directory / "playbook.json",
        ],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[:600]
    return directory


def test_the_templates_of_bundles_are_among_them() -> None:
    assert {building.SITE_TEMPLATE, building.UNIT_TEMPLATE} <= set(TEMPLATES)


@pytest.mark.parametrize(("template", "name"), CASES)
def test_both_engines_render_the_same_bytes(
    template: str, name: str, rendered_by_ansible: Path
) -> None:
    ours = render(template, VALUES[name], root=CHECKOUT).encode()

    assert (rendered_by_ansible / f"{name}-{Path(template).name}").read_bytes() == ours
