"""What callers hand in, made plain or refused before anything is done with it. Everything here raises InputError."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from stepladder.app.loading import Agents
from stepladder.decision import Budget, Ladder
from stepladder.drivers.artifacts import taken_in
from stepladder.errors import InputError
from stepladder.llm import Providers
from stepladder.orchestrator import Machine
from stepladder.values import plain
from stepladder.workflow.definition import Definition
from stepladder.workflow.problems import one_of
from stepladder.workflow.schemas import with_defaults

LONGEST_ID: Final = 200


def plain_mapping(value: object, what: str, kept: dict[str, bytes]) -> dict[str, Any]:
    """A mapping of fields, as plain JSON with references for its artifacts, whose bytes are added to `kept`."""
    found = taken_in(value, what, kept)
    if not isinstance(found, dict):
        raise InputError(what, "", f"a {type(value).__name__}", "a mapping of fields")
    return found


def plain_text(value: object, what: str, where: str) -> str:
    """A text that UTF-8 can hold."""
    text = plain(value, what)
    if not isinstance(text, str):
        raise InputError(what, where, f"a {type(value).__name__}", "text")
    return text


def check_id(run_id: str) -> None:
    """An id is something that a person can read and type."""
    printable = isinstance(run_id, str) and run_id.isprintable() and run_id.strip() == run_id
    if not printable or not 0 < len(run_id) <= LONGEST_ID:
        expected = f"1 to {LONGEST_ID} printable characters, not beginning or ending with a space"
        raise InputError("run_id", "", repr(run_id)[:80], expected)


def run_input(definition: Definition, value: Mapping[str, Any]) -> dict[str, Any]:
    """The input of a run, with the defaults of what is absent."""
    wrong = definition.check_input(value) if definition.check_input else ""
    if wrong:
        fields = list(definition.input["properties"])
        raise InputError(f"input of {definition.name}", "", wrong, f"the fields {fields}")
    return with_defaults(definition.input, dict(value))


def check_agents(definition: Definition, agents: Agents, *, others: bool = False) -> None:
    """Every agent that a step calls is there, and, but for `others`, none that the workflow does not name."""
    if missing := sorted(definition.called - set(agents)):
        expected = f"a callable for each agent of {definition.name}"
        raise InputError("agents", ", ".join(missing), "nothing", expected)
    unknown = sorted(set(agents) - set(definition.agents))
    if unknown and not others:
        found, expected = "an agent the workflow does not name", f"one of {sorted(definition.agents)}"
        raise InputError("agents", ", ".join(unknown), found, expected)


def check_models(machine: Machine, providers: Providers) -> None:
    """Every model that may be asked is of a provider that is known, and has a price where one is needed."""
    ladder, known = machine.policy.ladder, providers.names
    for model in (model for rung in ladder.asked for model in rung.targets):
        if (provider := model.partition(":")[0]) not in known:
            raise InputError("providers", provider, f"no provider for the model {model}", one_of(provider, known))
    check_prices(ladder, machine.budget, providers)


NO_PRICE: Final = "no known price, though there is a cap on money"
PRICE_WANTED: Final = "a price under policy.money.prices (US dollars per million tokens), or allow_unpriced: true"


def check_prices(ladder: Ladder, budget: Budget, providers: Providers) -> None:
    """Every model that may be asked has a price, where a policy that speaks of money has a cap that depends on it."""
    for rung, model in unpriced(ladder, budget, providers):
        raise InputError(f"rung {rung}", model, NO_PRICE, PRICE_WANTED)


def unpriced(ladder: Ladder, budget: Budget, providers: Providers) -> Iterator[tuple[str, str]]:
    """The models that may be asked and have no known price, with their rungs, where the budget needs one."""
    for rung in ladder.asked if budget.needs_prices else ():
        for model in rung.targets:
            if model not in budget.prices and providers.price_usd(model, 1000, 1000) is None:
                yield rung.name, model
