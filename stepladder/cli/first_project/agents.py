"""The agents of workflow.yaml: plain functions, called with what `with` hands them. They may be async."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TOPICS = {
    "billing": ("invoice", "bill", "price", "refund", "paid"),
    "technical": ("error", "crash", "slow", "login", "broken"),
}


def sorter(ticket: str, notes: list[str] | None = None) -> dict[str, Any]:
    """What the ticket is about, going by its words; call a model here instead."""
    text = " ".join([ticket, *(notes or [])]).lower()
    for topic, words in TOPICS.items():
        if any(word in text for word in words):
            return {"topic": topic}
    return {"topic": "unclear", "question": "Is it about an invoice, or about something that does not work?"}


def agents(signature: str = "the support desk") -> dict[str, Callable[..., Any]]:
    """The agents by name. Options of this function are given as `--option signature=...`."""

    def writer(ticket: str, topic: str) -> dict[str, Any]:
        return {"text": f"Thank you for telling us: {ticket!r}. Our {topic} team is on it. Yours, {signature}"}

    return {"sorter": sorter, "writer": writer}
