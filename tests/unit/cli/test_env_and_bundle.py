"""The verbs as a user meets them: a process, its two streams and its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import Project


def run(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "changeover", *words, "--env", "demo"],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_env_show_prints_every_value_but_no_secret(project: Project) -> None:
    done = run(project, "env", "show", "2.0.0")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "TOKEN=[REDACTED]  # secret OLD_TOKEN",
        "GREETING=good day  # setting",
        "WORKERS=3  # setting",
    ]
    for secret in project.environment.all_secrets():
        assert secret.reveal() not in done.stdout + done.stderr


def test_env_show_takes_the_newest_release_and_says_what_is_missing(project: Project) -> None:
    done = run(project, "env", "show")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "hello 3.0.0 cannot run in demo: missing: CALLBACK_SECRET" in done.stderr
    assert "ansible-vault edit inventories/demo/group_vars/all/vault.yml" in done.stderr


def test_env_diff_streams_changes_as_json(project: Project) -> None:
    done = run(project, "env", "diff", "1.0.0", "2.0.0", "--json")
    assert done.returncode == 0, done.stderr
    version, *events, _ = [json.loads(line) for line in done.stdout.splitlines()]
    assert version["type"] == "version"
    assert events[0] == {
        "type": "variable-change",
        "kind": "renamed",
        "name": "TOKEN",
        "before": "[REDACTED]",
        "after": "[REDACTED]",
        "old_name": "OLD_TOKEN",
        "differs": False,
    }
    assert {event["kind"] for event in events} == {"renamed", "added", "removed"}


def test_an_unknown_version_is_a_usage_error(project: Project) -> None:
    done = run(project, "env", "diff", "1.0.0", "9.0.0")
    assert done.returncode == 2
    assert "hello has no release 9.0.0" in done.stderr
    assert "name one of: 1.0.0, 2.0.0, 3.0.0" in done.stderr


def test_a_bundle_is_built_verified_and_refused_when_changed(
    project: Project, signing_key: Path
) -> None:
    public = signing_key.with_name("signing.pub").read_text().strip()
    project.edit(project.variables, "changeover_signers: []", f"changeover_signers: ['{public}']")
    done = run(project, "bundle", "build", "2.0.0")
    assert done.returncode == 0, done.stderr
    path = project.root / done.stdout.strip()
    assert path.is_file()
    assert "was there already" in run(project, "bundle", "build", "2.0.0").stderr
    verified = run(project, "bundle", "verify", str(path))
    assert verified.returncode == 0, verified.stderr
    assert "is whole and signed: hello 2.0.0, 11 files" in verified.stdout
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refused = run(project, "bundle", "verify", str(path))
    assert refused.returncode == 6
    assert "was changed after it was built" in refused.stderr
