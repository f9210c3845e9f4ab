from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover.render import TemplateInvalid, TemplateMissing, render

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "templates/etc").mkdir(parents=True)
    return tmp_path


def write(root: Path, text: str, name: str = "etc/x.j2") -> str:
    (root / "templates" / name).write_text(text)
    return name


def test_blocks_leave_no_empty_lines_and_the_last_newline_stays(root: Path) -> None:
    text = "a\n{% if on %}\n  b & <c>\n{% endif %}\n{{ word }}\n"
    assert (
        render(write(root, text), {"on": True, "word": "end"}, root=root) == "a\n  b & <c>\nend\n"
    )
    assert render(write(root, "no newline"), {}, root=root) == "no newline"


def test_a_template_may_include_another(root: Path) -> None:
    write(root, "{{ word }}\n", "etc/part.j2")
    assert render(write(root, "{% include 'etc/part.j2' %}"), {"word": "x"}, root=root) == "x"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one\n{{ absent }}\n", "templates/etc/x.j2:2: 'absent' is undefined"),
        ("{% if absent %}x{% endif %}", "templates/etc/x.j2:1: 'absent' is undefined"),
        ("\n\n{{ word.more }}", "templates/etc/x.j2:3: 'str object' has no attribute 'more'"),
        ("one\n{% if %}\n", "templates/etc/x.j2:2: Expected an expression"),
        ("\n{{ word + 1 }}", "templates/etc/x.j2:2: can only concatenate str"),
    ],
)
def test_what_cannot_be_rendered_names_file_and_line(root: Path, text: str, said: str) -> None:
    with pytest.raises(TemplateInvalid) as caught:
        render(write(root, text), {"word": "x"}, root=root)
    assert caught.value.message.startswith(said)
    assert caught.value.exit_code == 2


def test_the_line_of_an_included_template_is_named(root: Path) -> None:
    write(root, "fine\n{{ absent }}\n", "etc/part.j2")
    with pytest.raises(TemplateInvalid, match=r"templates/etc/part\.j2:2: 'absent'"):
        render(write(root, "{% include 'etc/part.j2' %}"), {}, root=root)


def test_a_missing_template_is_named(root: Path) -> None:
    with pytest.raises(TemplateMissing, match=r"there is no template etc/absent\.j2"):
        render("etc/absent.j2", {}, root=root)
