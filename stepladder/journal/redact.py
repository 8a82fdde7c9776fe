"""Secrets are taken out of an event before it is written or decided on.

Three nets: the values of known secrets, texts in the form of well-known keys, and fields whose names say that they hold
one. A quick look at the encoded event decides whether the nets are needed at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import jsonschema_rs

from stepladder.events import Event
from stepladder.values import canonical

REDACTED: Final = "[redacted]"
SHORTEST: Final = 8
"""A known secret of fewer characters is not looked for: it would take ordinary words out."""

_FORMS: Final = re.compile(
    r"""
    \bsk-[A-Za-z0-9_-]{16,}                          # OpenAI and alike
    | \bAIza[0-9A-Za-z_-]{30,}                       # Google
    | \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_[A-Za-z0-9_]{20,}
    | \bglpat-[A-Za-z0-9_-]{16,}
    | \bxox[abprs]-[A-Za-z0-9-]{10,}                 # Slack
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                  # AWS
    | \bhf_[A-Za-z0-9]{20,}
    | \beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}    # JSON web token
    | (?i:\bbearer\s+)[A-Za-z0-9._~+/=-]{16,}
    | -----BEGIN[ A-Z]*PRIVATE\ KEY-----[\s\S]*?(?:-----END[ A-Z]*PRIVATE\ KEY-----|\Z)
    | (?<=://)[^/\s:@"']{1,200}:[^/\s:@"']{1,200}(?=@)     # user:password@ in an address
    """,
    re.VERBOSE,
)
_ASSIGNED: Final = re.compile(
    r"""(?i)((?:password|passwd|passphrase|secret|api_?key|access_?key|access_token|auth_token)["'\\]*\s*[:=]\s*["'\\]*)"""
    r"""([^\s"'\\,;&]{6,})"""
)
"""A secret written out in a text, as in `password=...` or an embedded JSON."""
_NAMES: Final = re.compile(
    r"(?:^|[_\-.])(?:password|passwd|passphrase|secret|api_?key|apikey|access_?key|private_?key|authorization|credentials?"
    r"|(?:access|auth|refresh|bearer|id|session|api)_?token|token)$",
    re.IGNORECASE,
)
_SUSPICIOUS: Final = jsonschema_rs.validator_for(
    {
        "pattern": r"(?i)sk-[a-z0-9]|aiza|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|akia|asia[0-9a-z]{12}|hf_[a-z0-9]{8}"
        r"|eyj[a-z0-9]|bearer|private key|://[^/\s]*@"
        r"|(passw|passphrase|secret|key|authorization|credential|token)[a-z]*[\"'\\]*\s*[:=]"
    }
)
"""A linear-time regular expression that takes 0.3 us for 1 KB; Python's own takes 20."""


class Redactor:
    """Takes secrets out of plain values. `secrets` are values that must never be written."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known = sorted({secret for secret in secrets if len(secret) >= SHORTEST}, key=len, reverse=True)
        self._encoded = [canonical(secret)[1:-1].decode() for secret in self._known]

    def text(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._known:
            text = text.replace(secret, REDACTED)
        return _ASSIGNED.sub(rf"\g<1>{REDACTED}", _FORMS.sub(REDACTED, text))

    def value(self, value: Any) -> Any:
        """The plain value without secrets; the same object where there are none."""
        return self._walk(value) if self._suspicious(canonical(value)) else value

    def event(self, event: Event) -> Event:
        """The event without secrets; the same object where there are none."""
        if not self._suspicious(canonical(event)):
            return event
        fields = {name: getattr(event, name) for name in event.__struct_fields__}
        clean = {name: self._field(value) for name, value in fields.items() if name not in _KEPT}
        return type(event)(**{**fields, **clean})

    def _field(self, value: Any) -> Any:
        return self._walk(value) if isinstance(value, (str, dict, list)) else value

    def _suspicious(self, encoded: bytes) -> bool:
        text = encoded.decode()
        return _SUSPICIOUS.is_valid(text) or any(secret in text for secret in self._encoded)

    def _walk(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key): self._named(key, item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._walk(item) for item in value]
        return value

    def _named(self, name: str, item: Any) -> Any:
        if isinstance(item, str) and item and _NAMES.search(name):
            return REDACTED
        return self._walk(item)


_KEPT: Final = frozenset({"at", "command", "attempt", "run_id", "workflow", "workflow_hash", "policy_hash", "core"})
"""Fields of events that are ours."""
