from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from changeover import bundle
from changeover.bundle import BuildFailed, Bundle, CodeUnfit, SigningFailed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import Project


def built(
    project: Project, key: Path, version: str = "2.0.0", output: Path | None = None
) -> Bundle:
    release = project.releases[version]
    return bundle.build(project.root, project.app, release, key, output=output)


def names(made: Bundle) -> list[str]:
    with tarfile.open(made.path) as archive:
        return archive.getnames()


def content(made: Bundle, name: str) -> str:
    with tarfile.open(made.path) as archive:
        member = archive.extractfile(name)
        assert member is not None
        return member.read().decode()


def test_a_bundle_holds_code_units_site_migrations_and_its_manifest(
    project: Project, signing_key: Path
) -> None:
    made = built(project, signing_key)
    assert names(made) == [
        "manifest.json",
        "code/package-lock.json",
        "code/package.json",
        "code/public/static/site.css",
        "code/src/hello.js",
        "code/src/worker.js",
        "migrations/expand/001_greetings.sql",
        "release.json",
        "sbom.cdx.json",
        "site.conf",
        "units/web.service",
        "units/worker.service",
    ]
    assert made.path.name == f"hello-2.0.0-{made.digest[:8]}.bundle"
    manifest = json.loads(content(made, "manifest.json"))
    assert manifest["processes"]["web"] == {
        "unit": "units/web.service",
        "sockets": ["http", "ws"],
        "health": {"socket": "http", "path": "/health"},
        "drain_seconds": 20,
    }
    assert (manifest["format"], manifest["site"], manifest["static"]) == (
        1,
        "site.conf",
        "public/static",
    )
    assert sorted(manifest["files"]) == names(made)[1:]
    assert "ExecStart=node src/hello.js" in content(made, "units/web.service")
    assert "return 308" in content(made, "site.conf")
    assert json.loads(content(made, "release.json"))["version"] == "2.0.0"


def test_the_archive_carries_nothing_of_this_machine(project: Project, signing_key: Path) -> None:
    script = project.root / "apps/hello/src/hello.js"
    script.chmod(0o700)
    with tarfile.open(built(project, signing_key).path) as archive:
        entries = {entry.name: entry for entry in archive}
    assert {
        (each.uid, each.gid, each.uname, each.gname, each.mtime) for each in entries.values()
    } == {(0, 0, "", "", 0)}
    assert entries["code/src/hello.js"].mode == 0o755
    assert entries["code/src/worker.js"].mode == 0o644


def test_the_same_release_gives_the_same_bytes(project: Project, signing_key: Path) -> None:
    first = built(project, signing_key, output=project.root / "one")
    for file in (project.root / "apps").rglob("*"):
        os.utime(file, (1, 1))
    second = built(project, signing_key, output=project.root / "two")
    assert (first.built, second.built) == (True, True)
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.signature.read_bytes() == second.signature.read_bytes()


def test_packages_are_installed_without_those_for_development(
    project: Project, signing_key: Path
) -> None:
    first = built(project, signing_key, "3.0.0", project.root / "one")
    packages = [name for name in names(first) if name.startswith("code/node_modules/")]
    assert packages == [
        "code/node_modules/greeter/bin/greet.js",
        "code/node_modules/greeter/index.js",
        "code/node_modules/greeter/package.json",
    ]
    bill = json.loads(content(first, "sbom.cdx.json"))
    assert [each["purl"] for each in bill["components"]] == ["pkg:npm/greeter@1.0.0"]
    assert len(bill["components"][0]["hashes"][0]["content"]) == 128
    shutil.rmtree(project.root / "build/packages")
    second = built(project, signing_key, "3.0.0", project.root / "two")
    assert second.digest == first.digest


def test_packages_are_installed_once_for_all_releases_with_one_lock(
    project: Project, signing_key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = built(project, signing_key, "3.0.0", project.root / "one")
    programs = project.root / "programs"
    programs.mkdir()
    (programs / "ssh-keygen").symlink_to(shutil.which("ssh-keygen") or "")
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(programs))
        again = built(project, signing_key, "3.0.0", project.root / "two")
        assert (again.built, again.digest) == (True, first.digest)
        (kept,) = (project.root / "build/packages/installed").glob("*.tar")
        kept.write_bytes(kept.read_bytes().replace(b"hello", b"hullo"))
        with pytest.raises(BuildFailed, match="npm is not installed"):
            built(project, signing_key, "3.0.0", project.root / "three")
    assert built(project, signing_key, "3.0.0", project.root / "four").digest == first.digest


def test_a_failed_installation_says_what_npm_said(project: Project, signing_key: Path) -> None:
    lock = project.root / "apps/hello/package-lock.json"
    project.edit(lock, "sha512-NQZFiC", "sha512-AAAAAA")
    with pytest.raises(BuildFailed, match=r"npm ci for 3\.0\.0 failed") as caught:
        built(project, signing_key, "3.0.0")
    assert "EINTEGRITY" in (caught.value.cause or "")
    assert list(project.bundles.glob("*")) == []


def test_nothing_is_built_again_until_something_changes(
    project: Project, signing_key: Path
) -> None:
    first = built(project, signing_key)
    again = built(project, signing_key)
    assert (again.built, again.digest, again.manifest) == (False, first.digest, first.manifest)
    project.edit(project.root / "apps/hello/src/hello.js", "hello", "good day")
    changed = built(project, signing_key)
    assert changed.built
    assert changed.digest != first.digest
    assert first.path.is_file()


@pytest.mark.parametrize(
    "file",
    [
        "apps/hello/releases/2.0.0/migrations/expand/001_greetings.sql",
        "templates/etc/systemd/system/app.service.j2",
        "apps/hello/public/static/site.css",
    ],
)
def test_every_input_counts(project: Project, signing_key: Path, file: str) -> None:
    before = built(project, signing_key)
    with (project.root / file).open("a") as stream:
        stream.write("-- more\n")
    assert built(project, signing_key).digest != before.digest


def test_a_damaged_bundle_is_built_again(
    project: Project, signing_key: Path, signers: list[str]
) -> None:
    first = built(project, signing_key)
    first.path.write_bytes(first.path.read_bytes()[:-1])
    again = built(project, signing_key)
    assert again.built
    assert bundle.verify(again.path, signers).version == "2.0.0"


def test_a_lost_or_foreign_signature_is_made_again(
    project: Project, signing_key: Path, signers: list[str]
) -> None:
    first = built(project, signing_key)
    first.signature.unlink()
    assert not built(project, signing_key).built
    bundle.verify(first.path, signers)
    other = project.root / "keys/other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    built(project, other)
    bundle.verify(first.path, [other.with_name("other.pub").read_text()])


def test_a_release_brings_code_of_its_own(project: Project, signing_key: Path) -> None:
    own = project.root / "apps/hello/releases/2.0.0/src"
    own.mkdir()
    (own / "hello.js").write_text("its own\n")
    (own / "more.js").write_text("more\n")
    made = built(project, signing_key)
    assert content(made, "code/src/hello.js") == "its own\n"
    assert content(made, "code/src/more.js") == "more\n"
    assert content(made, "code/src/worker.js") == '"use strict";\n'


def test_what_tools_leave_beside_the_code_stays_behind(project: Project, signing_key: Path) -> None:
    left = project.root / "apps/hello/src/node_modules/left"
    left.mkdir(parents=True)
    (left / "index.js").write_text("")
    assert not [name for name in names(built(project, signing_key)) if "node_modules" in name]


def test_a_link_among_the_code_is_refused(project: Project, signing_key: Path) -> None:
    (project.root / "apps/hello/src/link.js").symlink_to("/etc/passwd")
    with pytest.raises(CodeUnfit, match=r"src/link\.js is neither a file nor a directory"):
        built(project, signing_key)


def test_a_linked_folder_on_the_way_to_the_code_is_refused(
    project: Project, signing_key: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside/sub").mkdir(parents=True)
    (tmp_path / "outside/sub/secret.js").write_text("")
    (project.root / "apps/hello/leak").symlink_to(tmp_path / "outside")
    project.edit(project.release_file("2.0.0"), "code: [", "code: [leak/sub, ")

    with pytest.raises(CodeUnfit, match="apps/hello/leak is neither a file nor a directory"):
        built(project, signing_key)


def test_a_key_that_cannot_sign_is_told(project: Project, signing_key: Path) -> None:
    with pytest.raises(SigningFailed, match="absent"):
        built(project, signing_key.with_name("absent"))
    signing_key.chmod(0o644)
    with pytest.raises(SigningFailed, match="cannot sign") as caught:
        built(project, signing_key)
    assert "too open" in (caught.value.cause or "")


def test_no_secret_of_the_environment_is_in_a_bundle(project: Project, signing_key: Path) -> None:
    with tarfile.open(built(project, signing_key).path) as archive:
        everything = b"".join(
            member.read() for entry in archive if (member := archive.extractfile(entry))
        )
    for secret in project.environment.all_secrets():
        assert secret.reveal().encode() not in everything
