from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.lab.sources import fetch_options, own_sources, select_lines, select_stanzas

if TYPE_CHECKING:
    from pathlib import Path

STANZAS = """# comment
Types: deb
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://other.test/tool
Suites: nodistro
Components: main

Types: deb-src
URIs: http://mirror.test/debian
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://off.test/debian
Suites: bookworm
Components: main
"""


def test_stanzas_of_other_suites_switched_off_or_of_source_code_are_left_out() -> None:
    text = select_stanzas(STANZAS, "bookworm")
    assert "Suites: bookworm bookworm-updates\n" in text
    assert "trixie" not in text
    assert text.count("URIs:") == 1
    assert "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg" in text


def test_lines_are_chosen_by_their_suite_with_and_without_options() -> None:
    text = """
    # deb http://mirror.test/debian bookworm main
    deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/security bookworm-security main
    deb http://mirror.test/debian bookworm main contrib
    deb http://mirror.test/tool cloud-bookworm main
    deb-src http://mirror.test/debian bookworm main
    """
    assert select_lines(text, "bookworm").splitlines() == [
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/security bookworm-security main",
        "deb http://mirror.test/debian bookworm main contrib",
    ]


def test_files_that_apt_would_not_read_are_not_read(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://mirror.test/debian bookworm main\n")
    (parts / "debian.sources").write_text(STANZAS)
    (parts / "old.sources.disabled").write_text(STANZAS)
    (parts / "old.list.disabled").write_text("deb http://mirror.test/debian bookworm main\n")
    (parts / "tool.list").write_text("deb http://mirror.test/tool nodistro main\n")
    assert list(own_sources("bookworm", tmp_path)) == ["sources.list", "debian.sources"]


def test_only_how_packages_are_fetched_is_taken_over() -> None:
    dump = (
        'Acquire::http::Proxy "http://proxy.test:3128";\nAcquire::Check-Date "false";\n'
        'Dir::Cache "var/cache/apt";\nAcquire::IndexTargets::deb::DEP-11::MetaKey "x";\n'
    )
    assert fetch_options(dump).splitlines() == [
        'Acquire::http::Proxy "http://proxy.test:3128";',
        'Acquire::Check-Date "false";',
    ]
