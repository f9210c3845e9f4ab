from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changeover.agent.colour import environment_file
from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from pathlib import Path

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)
TEXTS = st.text(
    st.one_of(
        st.sampled_from("\"\\`$'# =\n\t"),
        st.characters(blacklist_categories=("Cs", "Cc")),
    )
)


@given(st.dictionaries(NAMES, TEXTS))
def test_what_is_written_is_read_back(values: dict[str, str]) -> None:
    assert environment_file.parse(environment_file.render(values)) == values


@pytest.mark.parametrize("value", ["a\0b", "a\rb", "a\x1bb", "a\x7fb", "\ud800", 3, None])
def test_what_systemd_would_drop_is_refused_without_showing_it(value: object) -> None:
    with pytest.raises(ActionError) as caught:
        environment_file.render({"NAME": value})

    assert caught.value.error == "bad-environment"
    assert caught.value.message.startswith("NAME is no text")


@pytest.mark.parametrize("name", ["", "A-B", "1A", "A B", "A\nB", "A="])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ActionError):
        environment_file.render({name: "x"})


def test_a_file_that_was_changed_by_hand_is_not_half_read(tmp_path: Path) -> None:
    path = tmp_path / "a.env"
    environment_file.write(path, {"KEY": "one", "OTHER": "two"})
    assert environment_file.read(path) == {"KEY": "one", "OTHER": "two"}
    assert path.stat().st_mode & 0o777 == 0o600

    path.write_text('KEY="one"\nOTHER=plain-secret\n')

    with pytest.raises(ValueError, match="changed by hand"):
        environment_file.read(path)
