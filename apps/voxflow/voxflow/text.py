"""Text in a request that PostgreSQL can keep."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

EMAIL = r"^[^@\s]{1,64}@[^@\s]{1,190}$"


def kept(text: str) -> str:
    """Return text that can be kept.

    Raises:
        ValueError: It has a NUL, or half of a surrogate pair.
    """
    if "\0" in text:
        raise ValueError("must not hold NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be Unicode text") from None
    return text


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(kept)]
Prose = Annotated[str, Field(max_length=20_000), AfterValidator(kept)]
Email = Annotated[str, Field(pattern=EMAIL, max_length=254), AfterValidator(kept)]
Password = Annotated[str, Field(min_length=8, max_length=200), AfterValidator(kept)]
