"""Rehearsing an outage: the same runs against a healthy server and against one that misbehaves, and what differs.

Everything is real but the models: the orchestrator, the agents (or a scenario's scripted ones), the journal, the
official SDKs, HTTP on loopback. The models are a server that answers as the script says.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from stepladder.app.loading import Workflow
from stepladder.app.reading import replay_run
from stepladder.app.run import Run
from stepladder.errors import InputError
from stepladder.journal import Journal, MemoryJournal
from stepladder.llm import Provider, cost_usd, open_provider
from stepladder.money import open_ledger, usd
from stepladder.orchestrator import DecisionRecord, Machine
from stepladder.rehearsal.script import FaultScript
from stepladder.rehearsal.server import FaultServer
from stepladder.rehearsal.watching import Effects, Illegal, illegal_actions
from stepladder.scenarios import Scenario, load_scenario
from stepladder.scenarios.play import play_async
from stepladder.signals import Signal
from stepladder.workflow.problems import one_of

Prices = dict[str, tuple[float, float]]
KEYS: Final = {"google": "AIza-rehearsal-no-key"}
NO_KEY: Final = "sk-rehearsal-no-key"
"""Keys that open nothing: the server looks at none."""
NANO_USD: Final = 1e-9
UNKNOWN_PRICE: Final = (1.0, 4.0)
"""US dollars per million tokens for models that nobody knows the price of."""


class World(msgspec.Struct, frozen=True):
    """How the runs went in one world: with a healthy server, or with one that misbehaves.

    `ledger_usd` is what was booked, `billed_usd` what the server would have billed; `faults` counts what was served by
    family. `slowest_s` is the longest decision.
    """

    ends: dict[str, int]
    decisions: int
    fallbacks: int
    requests: int
    faults: dict[str, int]
    ledger_usd: float
    billed_usd: float
    elapsed_s: float
    slowest_s: float


class Changed(msgspec.Struct, frozen=True):
    """A decision that came out otherwise; `cause` is the fallback's. `first` is the first of its run: what follows it
    is a consequence, and not compared."""

    run: int
    decision: int
    step: str
    healthy: str
    faulty: str
    cause: str


class Rehearsed(msgspec.Struct, frozen=True):
    """What a rehearsal came to."""

    name: str
    runs: int
    healthy: World
    faulty: World
    changed: tuple[Changed, ...]
    by_fallback: int
    """Decisions of the faulty world that a rule took because a model failed, and that came out the same."""
    illegal: tuple[Illegal, ...]
    repeated: int
    diverged: tuple[str, ...]
    unbooked_usd: float
    """What was billed and is not on the ledger; 0 unless money is lost."""
    guessed: tuple[str, ...]
    """Models whose price nobody knows."""

    @property
    def sound(self) -> bool:
        """Whether nothing happened that must not: no illegal action, no repeated effect, no replay that differs, and a
        ledger that covers the bill."""
        return not (self.illegal or self.repeated or self.diverged or self.unbooked_usd > 0)


class _Stage(NamedTuple):
    workflow: Path
    scenario: Scenario
    models: Sequence[str]
    prices: Prices
    runs: int
    options: Mapping[str, str]
    signals: Sequence[Signal]


class _Went(msgspec.Struct):
    world: World
    runs: list[tuple[str, Sequence[DecisionRecord]]]
    illegal: list[Illegal]
    repeated: int
    diverged: list[str]
    unbooked_usd: float


def rehearse(
    workflow: str | Path,
    script: FaultScript,
    *,
    input: Mapping[str, Any] | None = None,  # noqa: A002
    runs: int = 1,
    agents: str | Path | None = None,
    options: Mapping[str, str] | None = None,
) -> Rehearsed:
    """Run the script's scenario (or this input, before the script's) so many times in both worlds, and compare.

    Raises:
        DefinitionError: the workflow or the scenario cannot be used.
        InputError: a model's provider has no wire here, the script is about models that the workflow does not ask, the
            input does not fit, or agents are missing.
    """
    scenario = _scenario(Path(workflow), script, input, agents)
    signals = _signals(Path(workflow), scenario, options)
    ladder = Workflow.load(workflow, signals=signals).machine.policy.ladder
    models = sorted({model for rung in ladder.asked for model in rung.targets})
    _must_be_about(script, models)
    prices, guessed = _prices(models, ladder.budget.prices if ladder.budget else {})
    stage = _Stage(Path(workflow), scenario, models, prices, runs, options or {}, signals)
    answers = {**scenario.said.models, **script.answers}

    def world(of: FaultScript) -> _Went:
        with FaultServer(of, answers, prices) as server:
            return asyncio.run(_played(stage, server))

    healthy, faulty = world(script.healthy()), world(script)
    changed, by_fallback = _compared(healthy, faulty)
    return Rehearsed(
        script.rehearsal,
        runs,
        healthy.world,
        faulty.world,
        tuple(changed),
        by_fallback,
        (*healthy.illegal, *faulty.illegal),
        healthy.repeated + faulty.repeated,
        (*healthy.diverged, *faulty.diverged),
        max(healthy.unbooked_usd, faulty.unbooked_usd),
        guessed,
    )


def _must_be_about(script: FaultScript, models: Sequence[str]) -> None:
    """Raises InputError where it is not: an outage of nobody would be passed without a word."""
    met = {f"faults.{index}.on": line.on for index, line in enumerate(script.faults)}
    met = {where: on for where, on in met.items() if not any(fnmatchcase(model, on) for model in models)}
    met |= {f"answers.{model}": model for model in script.answers if model not in models}
    for where, name in met.items():
        asked = one_of(name, models) if models else "none: the workflow asks no model"
        raise InputError(f"rehearsal {script.rehearsal!r}", where, repr(name), f"a model that is asked: {asked}")


# --- the actors


def _scenario(
    workflow: Path, script: FaultScript, given: Mapping[str, Any] | None, agents: str | Path | None
) -> Scenario:
    if script.scenario is not None:
        return load_scenario(script.folder / script.scenario)
    named = None if agents is None else str(Path(agents).resolve())
    name = str(workflow.resolve())
    return Scenario(scenario=script.rehearsal, workflow=name, agents=named, input={**script.input, **(given or {})})


def _signals(workflow: Path, scenario: Scenario, options: Mapping[str, str] | None) -> tuple[Signal, ...]:
    from stepladder.app.loading import load_agents

    file = scenario.folder / scenario.agents if scenario.agents else workflow.parent / "agents.py"
    return load_agents(file, options or {})[1] if file.is_file() else ()


def _prices(models: Sequence[str], own: Mapping[str, tuple[float, float]]) -> tuple[Prices, tuple[str, ...]]:
    """US dollars per million tokens of each model, and the models for which they are a guess."""
    prices: Prices = dict(own)
    guessed = []
    for model in models:
        if model in prices:
            continue
        provider, _, name = model.partition(":")
        read, written = cost_usd(provider, name, 1000, 0), cost_usd(provider, name, 0, 1000)
        if read is None or written is None:
            guessed.append(model)
        prices[model] = UNKNOWN_PRICE if read is None or written is None else (read * 1000, written * 1000)
    return prices, tuple(guessed)


def _providers(models: Sequence[str], server: FaultServer, prices: Prices) -> dict[str, Provider]:
    """The official SDKs behind our adapters, all asking the server; a provider of any other name is a server that
    speaks OpenAI's chat completions."""
    names = sorted({model.partition(":")[0] for model in models})
    if "scripted" in names:
        raise InputError("rehearsal", "scripted", "a script", "models of a provider that can be away")
    return {
        name: open_provider(
            "google" if name == "google" else "openai",
            base_url=server.url_of(name),
            api_key=KEYS.get(name, NO_KEY),
            name=name,
            prices=prices,
        )
        for name in names
    }


# --- the runs


async def _played(stage: _Stage, server: FaultServer) -> _Went:
    journal, effects = MemoryJournal(), Effects()
    providers = _providers(stage.models, server, stage.prices)
    found: list[tuple[Run, Sequence[DecisionRecord]]] = []
    began = time.monotonic()
    try:
        for number in range(1, stage.runs + 1):
            played = await play_async(
                stage.scenario,
                workflow=stage.workflow,
                journal=journal,
                run_id=f"rehearsal-{number}",
                options=stage.options,
                providers=providers,
                around=effects.around,
            )
            found.append((played.run, played.run.decisions))
    finally:
        for provider in providers.values():
            await provider.close()
    elapsed_s = time.monotonic() - began
    return _went(journal, found, server, effects, elapsed_s, stage.signals)


def _went(
    journal: Journal,
    found: Sequence[tuple[Run, Sequence[DecisionRecord]]],
    server: FaultServer,
    effects: Effects,
    elapsed_s: float,
    signals: Sequence[Signal],
) -> _Went:
    booked = sum(line.booked for line in open_ledger(journal).lines())
    records = [record for _, decisions in found for record in decisions]
    world = World(
        dict(Counter(run.end or run.status for run, _ in found)),
        len(records),
        sum(bool(record.settled and record.settled.fallback) for record in records),
        len(server.served),
        dict(Counter(each.fault for each in server.served if each.fault != "ok")),
        usd(booked),
        server.billed_usd,
        round(elapsed_s, 3),
        round(max((record.latency_s for record in records), default=0.0), 3),
    )
    machines: dict[str, Machine] = {run.id: run.machine for run, _ in found}
    illegal = [each for run, _ in found for each in illegal_actions(machines[run.id], run.id, run.entries)]
    return _Went(
        world,
        [(run.end or run.status, decisions) for run, decisions in found],
        illegal,
        effects.repeated,
        [run.id for run, _ in found if replay_run(journal, run.id, signals).divergence is not None],
        missing if (missing := server.billed_usd - usd(booked)) > NANO_USD else 0.0,
    )


def _compared(healthy: _Went, faulty: _Went) -> tuple[list[Changed], int]:
    """The first decision of each run that came out otherwise, and how many fell back and came out the same."""
    changed, same = [], 0
    for number, ((_, before), (_, after)) in enumerate(zip(healthy.runs, faulty.runs, strict=True), start=1):
        for one, other in zip(before, after, strict=False):
            if (one.opened.step, one.action) != (other.opened.step, other.action):
                cause = other.settled.fallback if other.settled else ""
                changed.append(Changed(number, other.number, other.opened.step, _told(one), _told(other), cause))
                break
            same += bool(other.settled and other.settled.fallback and not (one.settled and one.settled.fallback))
    return changed, same


def _told(record: DecisionRecord) -> str:
    return f"{record.action or 'open'} by {record.source or 'nobody yet'}"
