"""The agents of the workflow: `stepladder run examples/text_to_sql/workflow.yaml --option database=my.db`.

Options: `database`, a SQLite file (a small shop is built where none is named); `model`, a planner that asks a model,
such as openai:gpt-5-mini (without it the planner is the deterministic one); `base_url`, for servers compatible with
OpenAI's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .executor import executor
from .model_planner import model_planner
from .planner import planner
from .responder import respond
from .schema import read_schema
from .shop import build_shop


def agents(database: str = "", model: str = "", base_url: str = "") -> Mapping[str, Callable[..., Any]]:
    """The agents by name, on this database."""
    path = Path(database) if database else shop()
    if not path.is_file():
        raise FileNotFoundError(f"there is no database file {database}")
    planning = live_planner(path, model, base_url) if model else planner(path)
    return {"planner": planning, "executor": executor(path), "responder": respond}


def shop() -> Path:
    """The example's own database, beside this file; built once, the same on every machine."""
    path = Path(__file__).with_name("shop.db")
    if not path.is_file():
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            build_shop(Path(folder) / path.name).replace(path)
    return path


def live_planner(database: Path, model: str, base_url: str) -> Callable[..., Any]:
    """The planner that asks a model, through stepladder's own providers."""
    from stepladder import AgentResult
    from stepladder.llm import ModelRequest, open_provider, parse_model

    name, rest = parse_model(model)
    provider = open_provider(name, base_url=base_url or None)

    async def plan(question: str, clarifications: Any, error: Any, call: Any) -> AgentResult:
        used: list[Any] = []

        async def ask(system: str, prompt: str, schema: dict[str, Any]) -> str:
            request = ModelRequest(model=rest, system=system, prompt=prompt, schema=schema, deadline_s=20.0)
            used.append(await provider.ask(request))
            return str(used[-1].text)

        answer = await model_planner(ask, read_schema(database), call.prompt)(question, clarifications, error)
        return AgentResult(
            answer,
            sum(reply.input_tokens for reply in used),
            sum(reply.output_tokens for reply in used),
            sum(reply.cost_usd or 0.0 for reply in used),
        )

    return plan
