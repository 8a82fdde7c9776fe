"""A provider that answers from a script: for tests, examples and rehearsals. No network, no money, no chance."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

from stepladder.llm.errors import Late, ModelError, ScriptRanDry
from stepladder.llm.provider import ModelReply, ModelRequest

Fixed: TypeAlias = Mapping[str, Any] | str | ModelError | type[ModelError]
"""A mapping is answered as JSON text, a string exactly as it stands, an error is raised."""
Answer: TypeAlias = Fixed | Callable[[ModelRequest], Fixed | Awaitable[Fixed]]
"""What a script is made of: something fixed, or a function of the request that says it (it may be async)."""


class ScriptedProvider:
    """Gives the answers of a script, one per request, in order.

    Every answer takes `delay_s` seconds and is `Late` when that is longer than the request's deadline. Replies name
    the model "scripted", cost 0.0 and count no tokens; they are final: none is asked for again. `requests` holds what
    was asked, `left` how many answers nobody has taken. One
    request more than there are answers raises `ScriptRanDry`, which no ladder falls back on.
    """

    final = True
    """Whoever asks takes the answer as it is: a script has one for each question."""

    def __init__(self, answers: Iterable[Answer], *, delay_s: float = 0.0, name: str = "scripted") -> None:
        self.name = name
        self.delay_s = delay_s
        self.requests: list[ModelRequest] = []
        self._answers = deque(answers)

    @property
    def left(self) -> int:
        """How many answers of the script are still unused."""
        return len(self._answers)

    async def ask(self, request: ModelRequest) -> ModelReply:
        """The next answer of the script.

        Raises the script's `ModelError`, `Late`, or `ScriptRanDry`. What a function in the script raises comes
        through as it is: it is a mistake in a test, not the failure of a model.
        """
        self.requests.append(request)
        if not self._answers:
            raise ScriptRanDry(len(self.requests) - 1, request.prompt)
        answer = self._answers.popleft()
        deadline = asyncio.timeout(request.deadline_s)
        try:
            async with deadline:
                await asyncio.sleep(self.delay_s)
                fixed = await _fixed(answer, request)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise Late(self.name, request.model, f"no answer within {request.deadline_s:g} s") from None
        return self._reply(fixed, request)

    def _reply(self, fixed: Fixed, request: ModelRequest) -> ModelReply:
        if isinstance(fixed, type):
            raise fixed(self.name, request.model, "as the script says")
        if isinstance(fixed, ModelError):
            raise fixed
        return ModelReply(
            text=fixed if isinstance(fixed, str) else json.dumps(fixed, ensure_ascii=False),
            model="scripted",
            input_tokens=0,
            output_tokens=0,
            cost_usd=0.0,
            latency_s=self.delay_s,
            finish="stop",
            provider=self.name,
        )

    def price(self, model: str, input_tokens: int, output_tokens: int) -> float | None:
        """Nothing: a script costs no money."""
        return 0.0

    async def close(self) -> None:
        """Nothing to give back."""


async def _fixed(answer: Answer, request: ModelRequest) -> Fixed:
    if isinstance(answer, type | str | Mapping | ModelError):
        return answer
    said = answer(request)
    return await said if inspect.isawaitable(said) else said
