"""What counts as an answer to a decision: the judge's word, in the form in which the owner of the call wants it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from stepladder.decision import Invalid, Option, agrees, answer_facts, read_text
from stepladder.fallback import Chain
from stepladder.llm import ModelReply, ModelRequest
from stepladder.llm.outcome import Answer
from stepladder.prompts import asked_again
from stepladder.record import Verdict

KEPT: Final = 32_768
"""Characters of an answer that are written down."""
MORE_TOKENS: Final = 4
"""An answer that hit the length limit is asked for again with so many times the tokens."""


class DecisionContract:
    """Reads answers to one open decision.

    Args:
        chain: who is asked; its links say where their answers keep our fields, and which are good enough.
        options: the legal actions.
        verdict: the rule's, for conditions on agreement.
        whole: answers have to say how sure they are, as they were asked to.
    """

    def __init__(self, chain: Chain, options: Mapping[str, Option], verdict: Verdict, *, whole: bool = True) -> None:
        self.chain, self.options, self.verdict, self.whole = chain, options, verdict, whole

    def read(self, reply: ModelReply, link: int) -> Answer:
        """What the judge says of this reply."""
        of = self.chain.links[link]
        found = read_text(reply.text, self.options, fields=of.fields, whole=self.whole)
        if isinstance(found.verdict, Invalid):
            wrong = found.verdict
            return Answer(reply.text[:KEPT], wrong.kind, wrong.cause, repaired=found.repaired)
        text = reply.text if len(reply.text) <= KEPT else _shortened(found.verdict)
        poor = bool(of.quality) and not of.quality.fired(self._facts(found.verdict))
        cause = f"its answer is not good enough (confidence {found.verdict.confidence})" if poor else ""
        return Answer(text, cause=cause, passed_over=poor, repaired=found.repaired)

    def _facts(self, verdict: Verdict) -> dict[str, object]:
        return answer_facts(verdict, agrees(self.verdict, verdict, self.options[verdict.action]))

    def again(self, request: ModelRequest, wrong: str) -> ModelRequest:
        """The question once more, with what was wrong; for an answer that was cut off, with room to end."""
        most = request.max_output_tokens * (MORE_TOKENS if wrong in ("truncated", "no_answer") else 1)
        prompt = f"{request.prompt}\n\n{asked_again(wrong)}"
        return msgspec.structs.replace(request, prompt=prompt, max_output_tokens=most)


def _shortened(verdict: Verdict) -> str:
    """A very long answer, as the judge read it."""
    return json.dumps(
        {
            "reason": verdict.reason,
            "action": verdict.action,
            "confidence": verdict.confidence,
            "parameters": verdict.parameters,
        },
        ensure_ascii=False,
    )


Asks = Callable[[Chain], DecisionContract]
"""Makes the contract of a decision for a chain."""


def contract_for(options: Mapping[str, Option], verdict: Verdict) -> Asks:
    """Contracts for a question with this legal set and this verdict of the rule."""
    return lambda chain: DecisionContract(chain, options, verdict)
