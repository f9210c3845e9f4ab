"""Whom tenants' agents call, and by what each is paid."""

from __future__ import annotations

from typing import Literal, get_args

Provider = Literal["groq", "deepgram", "twilio"]
PROVIDERS: tuple[Provider, ...] = get_args(Provider)
ByTokens = Literal["groq"]
ByMinutes = Literal["deepgram", "twilio"]
TOKENS: tuple[str, ...] = get_args(ByTokens)
