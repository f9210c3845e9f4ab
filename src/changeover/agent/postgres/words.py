"""What PostgreSQL and its programs say, free of the rows that they quote."""

from __future__ import annotations

import re

from changeover.agent.postgres import definition_secrets

# Each of these goes on with content of the database, up to the next field of the message.
QUOTING = re.compile(
    r"""(
        CONTEXT:\s+COPY\s[^\n]*?,\ line\ \d+(?:,\ column\ [^\n:]+)?:
      | DETAIL:\s+Key\ \([^\n]*?\)=
      | CONTEXT:\s+JSON\ data,\ line\ \d+:
      | DETAIL:\s+Failing\ row\ contains
      | DETAIL:\s+Token
      | LINE\ \d+:[^\n']*(?=')
      | invalid\ input\ syntax\ for\ [^\n:]+:
      | \bvalue(?=\s")
    )
    (?: \s"[^"\n]*"(?=\ (?:is|for)\ )
      | (?:(?!\n(?:psql|pg_\w+|[A-Z]{4,}(?:\ \d+)?):|\nCommand\ was).)*
    )""",
    re.VERBOSE | re.DOTALL,
)
CAUSE_CHARACTERS = 4000
# What a complaint is about, where what was asked for is not to blame.
FAULTS = {
    "No space left on device": "disk-full",
    "Disk quota exceeded": "disk-full",
    "invalid memory alloc request size": "value-too-large",
    "Cannot enlarge string buffer": "value-too-large",
}


def fault(text: str, otherwise: str) -> str:
    """Return the fact that a complaint tells, in kebab case; ``otherwise`` where it tells none of those known."""
    return next((name for words, name in FAULTS.items() if words in text), otherwise)


def without_values(text: str) -> str:
    """Return a program's complaint without passwords and the values of rows in it, then its end."""
    said = definition_secrets.hidden(text, lambda _: "(hidden)")
    return QUOTING.sub(r"\1 (…)", said)[-CAUSE_CHARACTERS:]
