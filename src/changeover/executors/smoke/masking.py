"""Take out of an answer what may be a secret that nobody told us: tokens, codes, cookies."""

from __future__ import annotations

import json
import re

from changeover.secret import REDACTED

EXCERPT = 400

_WORDS = r"token|secret|password|passwd|api[-_]?key|private[-_]?key|cookie|authorization|ticket|otp"
_KEY = re.compile(rf"({_WORDS})|^(code|state|session|key|jwt|sid)$", re.IGNORECASE)
_PAIR = re.compile(
    rf"(?P<key>[\w.-]*(?:{_WORDS})[\w.-]*|\b(?:code|state|session|key|jwt|sid))"
    r"(?P<sign>[\"']?\s*[=:]\s*[\"']?)(?P<value>[^\s&\"',;<>}\]]+)",
    re.IGNORECASE,
)
_JWT = re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*")
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
# What an API names its errors by, as no provider writes the codes that it gives out.
_ERROR = re.compile(r"[A-Z]+(_[A-Z]+)*")
_HARMLESS = frozenset({"token_type", "expires_in", "refresh_expires_in"})


def masked(text: str) -> str:
    """Return ``text`` with values masked that stand behind a telling name or look like a token."""
    text = _JWT.sub(REDACTED, text)
    text = _BEARER.sub(rf"\1 {REDACTED}", text)

    def hide(match: re.Match[str]) -> str:
        if match["key"].lower() in _HARMLESS or match["value"].startswith("[REDACTED"):
            return match[0]
        if _names_an_error(match["key"], match["value"]):
            return match[0]
        return f"{match['key']}{match['sign']}{REDACTED}"

    return _PAIR.sub(hide, text)


def telling(where: str) -> bool:
    """Return whether a place, such as a JSON pointer or a header, tells of a secret."""
    names = re.split(r"[/\s]", where)
    return any(name.lower() not in _HARMLESS and _KEY.search(name) for name in names)


def _names_an_error(key: str, value: object) -> bool:
    return key == "code" and isinstance(value, str) and _ERROR.fullmatch(value) is not None


def _masked_json(value: object) -> object:
    if isinstance(value, dict):
        return {
            key: REDACTED
            if isinstance(item, str | int | float)
            and not isinstance(item, bool)
            and telling(key)
            and not _names_an_error(key, item)
            else _masked_json(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_masked_json(item) for item in value]
    return masked(value) if isinstance(value, str) else value


def excerpt(body: str) -> str:
    """Return the beginning of a body on one line, masked."""
    try:
        text = json.dumps(_masked_json(json.loads(body)), ensure_ascii=False)
    except ValueError:
        text = masked(" ".join(body.split()))
    return text if len(text) <= EXCERPT else text[:EXCERPT] + "..."
