"""What a model is told when its answer did not count and it is asked once more.

Our own sentences only: of the answer itself nothing comes into the prompt.
"""

from __future__ import annotations

from typing import Final

_FORM: Final = (
    "Answer with exactly one JSON object in the form asked for: no fence, no comment, nothing before or after."
)
_SENTENCES: Final = {
    "empty": "it was empty.",
    "long": "it was far too long. Keep the reason to three sentences.",
    "form": "it was not one JSON object.",
    "twice": "it had a key twice.",
    "number": "it had a number that JSON does not know.",
    "conflict": "it held more than one object, and they differed. Decide for one action.",
    "action": "its action was not one of the legal ones. Take one from the enum, to the letter.",
    "reason": "its reason was not text.",
    "next_state": "its next_state was not where its action leads. Leave it null if in doubt.",
    "confidence": "it did not say how sure you are, as a number from 0 to 1.",
    "parameters": "its parameters were not those that its action takes.",
    "truncated": "it was cut off by the length limit. Think less and be brief.",
    "no_answer": "it held no text.",
}


def asked_again(wrong: str) -> str:
    """The words to add to the prompt; `wrong` is one word for what was wrong."""
    return f"Your last answer did not count: {_SENTENCES.get(wrong, 'it could not be read.')} {_FORM}"
