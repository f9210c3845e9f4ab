from __future__ import annotations

from pathlib import Path

import pytest

from changeover.document import DocumentInvalid, DocumentMissing, parse, read

FILE = Path("/somewhere/file.yml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "/somewhere/file.yml:3: a is set twice, first in line 1"),
        ("a:\n  b: 1\n  b: 2\n", "/somewhere/file.yml:3: a.b is set twice, first in line 2"),
        ("a: [1, 2\nb: 3\n", "/somewhere/file.yml:2: "),
        ("a: &x\n  b: *x\n", "/somewhere/file.yml:1: the anchor contains itself"),
        ("on: push\n", "/somewhere/file.yml:1: a key is text"),
        ("1: one\n", "/somewhere/file.yml:1: a key is text"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "/somewhere/file.yml:3: a key is text"),
        ("a: !vault |\n  x\n", "a YAML tag stands here"),
        ("- one\n", "must hold a mapping"),
        ("just words\n", "must hold a mapping"),
    ],
)
def test_bad_yaml_is_refused_with_file_and_line(text: str, said: str) -> None:
    with pytest.raises(DocumentInvalid) as caught:
        parse(text, FILE)
    assert said in caught.value.message
    assert "/somewhere/file.yml" in caught.value.hint


def test_an_empty_file_is_an_empty_mapping() -> None:
    assert parse("---\n", FILE).data == {}


def test_a_key_is_found_by_its_line() -> None:
    document = parse("a:\n  b:\n    - one\n    - two\n", FILE)
    assert document.place(("a", "b", 1)) == "/somewhere/file.yml:4"
    assert document.place(("a", "b", "absent")) == "/somewhere/file.yml:2"


def test_what_is_wrong_with_a_secret_document_does_not_show_it() -> None:
    with pytest.raises(DocumentInvalid) as caught:
        parse("password: 'hunter2\n", FILE, secret=True)
    event = caught.value.as_event()
    assert "hunter2" not in str(event)
    assert "/somewhere/file.yml:2" in str(event)


def test_a_missing_file_and_one_that_is_no_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentMissing, match=r"absent\.yml cannot be read"):
        read(tmp_path / "absent.yml")
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DocumentInvalid, match=r"binary\.yml is not UTF-8"):
        read(tmp_path / "binary.yml")
