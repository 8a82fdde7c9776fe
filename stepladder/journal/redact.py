"""Secrets are taken out of an event before it is written or decided on.

Three nets: the values of known secrets, texts in the form of well-known keys, and fields whose names say that they hold
one. A quick look at the encoded event decides whether the nets are needed at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

import jsonschema_rs
import msgspec

from stepladder.events import Event
from stepladder.journal.codec import encode_entry
from stepladder.values import canonical

REDACTED: Final = "[redacted]"
SHORTEST: Final = 8
"""A known secret of fewer characters is not looked for: it would take ordinary words out."""

_FORMS: Final = re.compile(
    r"""
    \bsk-[A-Za-z0-9_-]{16,}                          # OpenAI and alike
    | \b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}         # Stripe
    | \bAIza[0-9A-Za-z_-]{30,} | \bya29\.[A-Za-z0-9_-]{20,}              # Google
    | \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_[A-Za-z0-9_]{20,}
    | \bglpat-[A-Za-z0-9_-]{16,}
    | \bxox[abprs]-[A-Za-z0-9-]{10,}                 # Slack
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                  # AWS
    | \bhf_[A-Za-z0-9]{20,}
    | \beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}    # JSON web token
    | (?i:\bbearer\s+)[A-Za-z0-9._~+/=-]{16,}
    | (?i:\bauthorization["'\\]*\s*[:=]\s*["'\\]*(?:basic|bearer|token)\s+)[^\s"'\\,;]{4,}
    | -----BEGIN[ A-Z]*PRIVATE\ KEY-----[\s\S]*?(?:-----END[ A-Z]*PRIVATE\ KEY-----|\Z)
    | (?<=://)[^/\s:@"'<>\\]{0,200}:[^/\s"'<>\\]{1,200}(?=@)             # user:password@ in an address
    | (?i:(?<=[?&]token=)|(?<=[?&]sig=)|(?<=[?&]signature=))[^\s"'\\&\#]{6,}
    """,
    re.VERBOSE,
)
_NAME: Final = (
    r"password|passwd|passphrase|secret(?:[_\- ]?key)?|(?:api|access|account|signing)[_\- ]?key"
    r"|(?:access|auth|refresh|session|api)[_\- ]?token"
)
_QUOTED: Final = re.compile(rf"""(?i)((?:{_NAME})["'\\]*\s*[:=]\s*(\\*["']))(?:(?!\2)(?:\\.|[^\\\n]))+(?=\2)""")
_ASSIGNED: Final = re.compile(rf"""(?i)((?P<name>{_NAME})["'\\]*\s*[:=]\s*["'\\]*)(?P<value>[^\s"'\\,;&]{{6,}})""")
"""A secret written out in a text, as in `password=...` or an embedded JSON."""
_HARMLESS: Final = re.compile(
    r"""
    [:${%<@*?(\[]                                     # a placeholder, or redacted already
    | [A-Za-z_][\w.]*[(\[] | (?:[A-Za-z_]+\.)+[A-Za-z_]+\W*$             # code that fetches it
    | (?i:string|boolean|integer|required|optional|missing|invalid|incorrect|expired|unknown)\b
    """,
    re.VERBOSE,
)
_NAMES: Final = re.compile(
    r"""
    (?:^|[_\-.\ ]|(?<=[a-z0-9])(?=[A-Z]))
    (?i:password|passwd|passphrase|secret|(?:api|access|private|secret|signing|encryption|account)[_\-\ ]?key
    |authorization|credentials?|(?:access|auth|refresh|bearer|id|session|api)[_\-\ ]?token|token)$
    """,
    re.VERBOSE,
)
_NO_NAMES: Final = re.compile(
    r"(?:next|page|continuation|sync|eos|bos|pad|unk|mask|sep|cls|start|stop|end)[_\- ]?token$", re.IGNORECASE
)
"""Tokens of pages and of languages."""
_SUSPICIOUS: Final = jsonschema_rs.validator_for(
    {
        "pattern": r"(?i)sk-[a-z0-9_-]|[rs]k_(live|test)_|aiza|ya29\.|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|akia"
        r"|asia[0-9a-z]{12}|hf_[a-z0-9]{8}|eyj[a-z0-9_-]|bearer|private key|://[^/\s]*@|[?&](token|sig|signature)="
        r"|(passw|passphrase|secret|key|authorization|credential|token)[a-z]*[\"'\\]*\s*[:=]"
    }
)
"""A linear-time regular expression that takes 0.3 us for 1 KB; Python's own takes 20."""


class Redactor:
    """Takes secrets out of plain values. `secrets` are values that must never be written."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret for secret in secrets if len(secret) >= SHORTEST and secret not in REDACTED}
        self._known = sorted({form for secret in known for form in _forms(secret)}, key=len, reverse=True)
        self._encoded = [canonical(secret)[1:-1].decode() for secret in self._known]

    def text(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._known:
            text = text.replace(secret, REDACTED)
        text = _QUOTED.sub(rf"\g<1>{REDACTED}", _FORMS.sub(REDACTED, text))
        return _ASSIGNED.sub(_without_value, text)

    def value(self, value: Any) -> Any:
        """The plain value without secrets; the same object where there are none."""
        return self._walk(value) if self._suspicious(canonical(value)) else value

    def event(self, event: Event) -> Event:
        """The event without secrets; the same object where there are none."""
        return self.clean(event)[0]

    def clean(self, event: Event) -> tuple[Event, bytes]:
        """The event without secrets, and as it stands in a turn."""
        encoded = encode_entry(event)
        if not self._suspicious(encoded):
            return event, encoded
        fields = {name: getattr(event, name) for name in event.__struct_fields__}
        clean = {name: self._field(value) for name, value in fields.items() if name not in _KEPT}
        cleaned = type(event)(**{**fields, **clean})
        return cleaned, encode_entry(cleaned)

    def _field(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self._part(each) for each in value)
        return self._walk(value) if isinstance(value, (str, dict, list)) else value

    def _part(self, value: Any) -> Any:
        """A part of an event: the texts of a struct are fields of the event as well."""
        if not isinstance(value, msgspec.Struct):
            return self._field(value)
        return type(value)(**{name: self._field(getattr(value, name)) for name in value.__struct_fields__})

    def _suspicious(self, encoded: bytes) -> bool:
        text = encoded.decode()
        return _SUSPICIOUS.is_valid(text) or (bool(self._encoded) and any(secret in text for secret in self._encoded))

    def _walk(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key): self._named(key, item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._walk(item) for item in value]
        if isinstance(value, (int, float)) and str(value) in self._known:
            return REDACTED
        return value

    def _named(self, name: str, item: Any) -> Any:
        if _NAMES.search(name) and not _NO_NAMES.search(name):
            return self._hidden(item)
        return self._walk(item)

    def _hidden(self, item: Any) -> Any:
        if isinstance(item, str):
            return REDACTED if item else item
        if isinstance(item, (list, tuple)):
            return [self._hidden(each) for each in item]
        return self._walk(item)


def _forms(secret: str) -> tuple[str, ...]:
    """The secret as it stands in plain text, in JSON within a text, and in an address."""
    return secret, canonical(secret)[1:-1].decode(), json.dumps(secret)[1:-1], quote(secret, safe="")


def _without_value(found: re.Match[str]) -> str:
    if _HARMLESS.match(found["value"]) or found["value"].rstrip(")]}.").lower() == found["name"].lower():
        return found[0]
    return f"{found[1]}{REDACTED}"


_KEPT: Final = frozenset({"at", "command", "attempt", "run_id", "workflow", "workflow_hash", "policy_hash", "core"})
"""Fields of events that are ours."""
