# ruff: noqa: E501 - a row of the table is a line
"""Lints: for each a workflow that has the mistake, and one that nearly has it."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.errors import DefinitionError
from stepladder.rules import choose
from stepladder.signals import Observation, signal
from stepladder.workflow.build import build
from stepladder.workflow.lint import lint
from stepladder.workflow.yaml_text import read_yaml
from tests.workflow.small import SMALL, TEXT_TO_SQL, edited, line_of, lints_of, paths, replaced, values

Edit = tuple[str, str]
DATA, _ = read_yaml(SMALL)


class Row(NamedTuple):
    """A name, the edits of the small file, and the lint: its code, level, the line of `at`, what it says."""

    name: str
    edits: tuple[Edit, ...]
    code: str
    level: str
    at: str
    where: str
    says: tuple[str, ...] = ()


IDLE = "      idle: {}\n"
NO_CLASSIFIER = (
    "  classifier:\n    complex: {failing: [error_count > 2]}\n    hybrid: {odd: [consecutive_errors > 0, budget_used < 0.9]}\n",
    "  classifier: {}\n",
)
NO_APPROVALS = ("  approvals:\n    sure: {entering: reviewing, when: [budget_used > 0.5]}\n", "")
NOBODY_ASKED = (
    ("    hybrid: {ask: [model], reconcile: confident_model, confidence: 0.9}\n", ""),
    (
        "    complex: {ask: [panel, person], reconcile: rule_wins, rollout: {share: 0.5, reconcile: model_wins}}\n",
        "    complex: {}\n",
    ),
    (
        '    model: {model: "openai:a", deadline_s: 5, accept: {sure: [confidence >= 0.7]}}\n    panel: {models: ["openai:a", "google:b"], quorum: 2}\n    person: {deadline_s: 60}\n',
        "    {}\n",
    ),
)

ASK = "significant: [question]}"
EXAMPLES = [
    Row("an example without its action", ((ASK, ASK[:-1] + """, example: '{"reason": "why", "confidence": 1}'}"""),), "dropped-example", "warning", "ASK: {from", "actions.ASK.example", ("confidence, reason, which no prompt shows", "only parameters of ASK")),
    Row("an example with a key no answer has", ((ASK, ASK[:-1] + """, example: '{"action": "ASK", "why": 1}'}"""),), "dropped-example", "warning", "ASK: {from", "actions.ASK.example", ("action, why",)),
    Row("an example with another parameter", ((ASK, ASK[:-1] + """, example: '{"action": "ASK", "parameters": {"questoin": "which?"}}'}"""),), "dropped-example", "warning", "ASK: {from", "actions.ASK.example", ("questoin",)),
    Row("an example of a second entry", (("to: failed, guard: [returned == late]}", """to: failed, guard: [returned == late], example: '{"reason": "why"}'}"""),), "dropped-example", "warning", "- {from: waiting, to: failed", "actions.GIVE_UP.1.example", ("reason",)),
]  # fmt: skip

WAYS = [
    Row("a step nothing leads to", ((IDLE, IDLE + "      lost: {agent: writer}\n"), ("    - {from: waiting, to", "    - {from: lost, to: failed}\n    - {from: waiting, to"), ("  asking:\n    finish", "  lost:\n    stop: {do: GIVE_UP}\n  asking:\n    finish")), "unreachable-step", "error", "lost: {agent", "phases.drafting.steps.lost", ("no way from 'idle'", "an action that leads to lost")),
    Row("a chain nothing leads to", ((IDLE, IDLE + "      lost: {}\n      farther: {}\n"), ("  WAIT: {from", "  GO: {from: farther, to: lost}\n  WAIT: {from"), ("    - {from: waiting, to", "    - {from: lost, to: failed}\n    - {from: waiting, to"), ("  asking:\n    finish", "  lost:\n    stop: {do: GIVE_UP}\n  farther:\n    go: {do: GO}\n  asking:\n    finish")), "unreachable-step", "error", "farther: {}", "phases.drafting.steps.farther"),
    Row("an end nothing leads to", (("  failed: {success", "  lost: {success: true}\n  failed: {success"),), "unreachable-end", "warning", "lost: {", "ends.lost", ("an action that leads to lost",)),
    Row("a step that leads nowhere", ((IDLE, IDLE + "      pit: {}\n"), ("  WAIT: {from", "  FALL: {from: asking, to: pit}\n  WAIT: {from")), "nowhere", "error", "pit: {}", "phases.drafting.steps.pit", ("no action that leads on",)),
    Row("steps that lead only to each other", ((IDLE, IDLE + "      pit: {}\n      hole: {}\n"), ("  WAIT: {from", "  FALL:\n    - {from: [asking, hole], to: pit}\n    - {from: pit, to: hole}\n  WAIT: {from"), ("  asking:\n    finish", "  pit:\n    on: {do: FALL}\n  hole:\n    on: {do: FALL}\n  asking:\n    finish")), "nowhere", "error", "pit: {}", "phases.drafting.steps.pit", ("no way to an end, nor from hole",)),
    Row("an action back to a step without effect", (("  WAIT: {from", "  IDLE: {from: idle, to: idle}\n  WAIT: {from"),), "nowhere", "warning", "IDLE: {from", "actions.IDLE.to", ("from idle to itself",)),
]  # fmt: skip

RULES = [
    Row("a step without rules", (("  waiting:\n    again: {when: [returned == ok], do: WRITE, because: there is more to say}\n    stop: {do: GIVE_UP, because: nothing came}\n", ""),), "no-rule", "error", "      waiting: {", "phases.reviewing.steps.waiting", ("one of: WRITE, GIVE_UP",)),
    Row("a last rule with a condition", (("stop: {do: GIVE_UP, because: it is bad}", "stop: {when: [returned == ok], do: GIVE_UP}"),), "no-default-rule", "warning", "stop: {when:", "rules.writing.stop", ("returned is failed", "a last rule without `when`")),
    Row("a last rule whose action may not be legal", (("stop: {do: GIVE_UP, because: it is bad}", "stop: {do: ASK, with: {question: last.text}}"), NO_APPROVALS), "no-default-rule", "warning", "stop: {do: ASK", "rules.writing.stop", ("taken.ASK is 3",)),
    Row("a rule after one that always holds", (("stop: {do: GIVE_UP, because: it is bad}", "stop: {do: GIVE_UP}\n    more: {when: [returned == late], do: GIVE_UP}"),), "dead-rule", "warning", "more: {", "rules.writing.more", ("a rule after rule 'stop'",)),
    Row("a rule after a weaker one", (("wait: {when: [returned == ok], do: WAIT, because: the person does not like it}", "wait: {when: [returned == ok], do: WAIT}\n    again: {when: [last.word == no, returned == ok], do: WAIT}"),), "dead-rule", "warning", "    again: {when: [last", "rules.asking.again", ("a rule after rule 'wait'",)),
    Row("a rule that the ones before it leave nothing", (("stop: {do: GIVE_UP, because: nobody answered}", "late: {when: [returned == late], do: GIVE_UP}\n    stop: {do: GIVE_UP}"),), "dead-rule", "warning", "stop: {do: GIVE_UP}\n  waiting", "rules.asking.stop", ("one of the rules finish, wait, late",)),
    Row("a rule whose conditions contradict", (("when: [returned == ok], do: WAIT", "when: [returned == ok, returned == late], do: WAIT"),), "dead-rule", "warning", "wait: {when", "rules.asking.wait", ("returned == ok and returned == late",)),
    Row("a rule whose condition never holds here", (("when: [returned == ok], do: WAIT", "when: [step == writing], do: WAIT"),), "dead-rule", "warning", "wait: {when", "rules.asking.wait", ("step == writing",)),
    Row("a rule whose action is not legal then", (("when: [returned == ok], do: WAIT", "when: [returned == late], do: WAIT"),), "dead-rule", "warning", "wait: {when", "rules.asking.wait", ("returned == late and returned == ok", "WAIT is legal")),
    Row("a choice after one that always holds", (("second: {when: [visits.writing > 1], do: editor", "first: {do: writer}\n    second: {when: [visits.writing > 1], do: editor"),), "dead-rule", "warning", "second: {", "select_agent.writing.second", ("rule 'first'",)),
    Row("a choice whose conditions contradict", (("visits.writing > 1", "visits.writing < 1"),), "dead-rule", "warning", "second: {", "select_agent.writing.second", ("visits.writing < 1",)),
]  # fmt: skip

GUARDS = [
    Row("a step that can be stranded", (("- {from: [writing, asking]", "- {from: [asking]"), ("stop: {do: GIVE_UP, because: it is bad}", "again: {do: ASK, with: {question: last.text}}"), NO_APPROVALS), "stranded-step", "warning", "writing: {agent", "phases.drafting.steps.writing", ("no legal action where taken.ASK is 3;", "only STOP is left")),
    Row("stranded by convergence only", (("- {from: [writing, asking]", "- {from: [asking]"), ("guard: [taken.ASK < 3], ", ""), ("stop: {do: GIVE_UP, because: it is bad}", "again: {do: ASK, with: {question: last.text}}"), NO_APPROVALS), "stranded-step", "warning", "writing: {agent", "phases.drafting.steps.writing", ("returned is failed",)),
    Row("equal to two words", (("guard: [last.word == yes]", "guard: [last.word == yes, last.word == no]"),), "impossible-guard", "error", "FINISH: {from", "actions.FINISH.guard.1", ("last.word == yes and last.word == no", "in asking")),
    Row("below and above", (("guard: [taken.ASK < 3]", "guard: [taken.ASK < 2, taken.ASK > 5]"),), "impossible-guard", "error", "ASK: {from", "actions.ASK.guard.1", ("taken.ASK < 2 and taken.ASK > 5",)),
    Row("between two whole numbers", (("guard: [taken.ASK < 3]", "guard: [taken.ASK < 3, taken.ASK > 2]"),), "impossible-guard", "error", "ASK: {from", "actions.ASK.guard.1", ("taken.ASK < 3 and taken.ASK > 2",)),
    Row("below zero", (("guard: [taken.ASK < 3]", "guard: [taken.ASK < 0]"),), "impossible-guard", "error", "ASK: {from", "actions.ASK.guard.0", ("taken.ASK < 0",)),
    Row("all words excluded", (("guard: [last.word == yes]", "guard: [last.word != yes, last.word != no]"),), "impossible-guard", "error", "FINISH: {from", "actions.FINISH.guard.1"),
    Row("against the phase's convergence", (("guard: [taken.ASK < 3]", "guard: [returned == failed]"),), "impossible-guard", "error", "    converged: [", "phases.drafting.converged.0", ("returned == failed and returned == ok",)),
    Row("in one of two steps", (("- {from: waiting, to: failed, guard: [returned == late]}", "- {from: waiting, to: failed, guard: [returned == late]}\n  MORE: {from: [idle, waiting], to: writing, guard: [visits.idle < 1]}"),), "impossible-guard", "warning", "  MORE: {from", "actions.MORE.guard.0", ("visits.idle < 1", "in idle")),
    Row("a classifier's condition that contradicts", (("failing: [error_count > 2]", "failing: [error_count > 2, error_count < 2]"),), "dead-condition", "warning", "complex: {failing", "policy.classifier.complex.failing.1", ("error_count > 2 and error_count < 2",)),
    Row("an answer surer than sure", (("confidence >= 0.7", "confidence > 1"),), "dead-condition", "warning", "    model: {", "policy.rungs.model.accept.sure.0", ("confidence > 1",)),
    Row("an approval that is never asked", (("when: [budget_used > 0.5]", "when: [budget_used > 0.5, budget_used < 0.1]"),), "dead-condition", "warning", "sure: {entering", "policy.approvals.sure.when.1"),
    Row("a failure that never happens", (("fails: [done == false]", "fails: [done == false, done == true]"),), "dead-condition", "warning", "  writer: {", "agents.writer.fails.1"),
]  # fmt: skip

FIELDS = [
    Row("a field that the agent does not declare", (("last.status == good", "last.state == good"),), "unknown-field", "error", "    ask: {when", "rules.writing.ask.when.0", ("'last.state'", "did you mean status?")),
    Row("a field of a field without any", (("last.status == good", "last.status.first == good"),), "unknown-field", "error", "    ask: {when", "rules.writing.ask.when.0", ("last.status alone",)),
    Row("a result that nothing gives", (("text: result.draft.text", "text: result.daft.text"),), "unknown-field", "error", "  done: {success", "ends.done.output.text", ("'result.daft.text'", "did you mean draft?")),
    Row("a field of a result", (("text: result.draft.text", "text: result.draft.txt"),), "unknown-field", "error", "  done: {success", "ends.done.output.text", ("a field of result.draft", "did you mean text?")),
    Row("all of what nothing gives", (("topic: input.topic", "topic: all.verdicts.word"),), "unknown-field", "error", "writing: {agent", "phases.drafting.steps.writing.with.topic", ("did you mean verdict?",)),
    Row("an input that is not declared", (("topic: input.topic", "topic: input.title"),), "unknown-field", "error", "writing: {agent", "phases.drafting.steps.writing.with.topic", ("a field of input",)),
    Row("a parameter that no action has", (("question: decision.question", "question: decision.query"),), "unknown-field", "error", "asking: {ask", "phases.reviewing.steps.asking.with.question", ("a field of decision",)),
    Row("an action that is none", (("guard: [taken.ASK < 3]", "guard: [taken.ASKED < 3]"),), "unknown-field", "error", "  ASK: {from", "actions.ASK.guard.0", ("did you mean ASK?",)),
    Row("a step that is none", (("visits.writing > 1", "visits.write > 1"),), "unknown-field", "error", "second: {", "select_agent.writing.second.when.0", ("did you mean writing?",)),
    Row("a score that nobody declares", (("score.score >= 5", "score.quality >= 5"),), "unknown-field", "error", "    ask: {when", "rules.writing.ask.when.1", ("a field of score: score",)),
    Row("what returned where nothing does", (("begin: {do: WRITE,", "again: {when: [returned == ok], do: WRITE}\n    begin: {do: WRITE,"),), "unknown-field", "error", "again: {when: [returned == ok], do: WRITE}\n", "rules.idle.again.when.0", ("an effect before this place",)),
    Row("a field where nothing returned", (("begin: {do: WRITE,", "again: {when: [last.text == a], do: WRITE}\n    begin: {do: WRITE,"),), "unknown-field", "error", "again: {when: [last", "rules.idle.again.when.0", ("an effect that returns something",)),
    Row("the margin in a rule", (("score.score >= 5", "rule_margin < 1"),), "unknown-field", "error", "    ask: {when", "rules.writing.ask.when.1", ("only in the classifier",)),
    Row("the budget where there is none", (("usd: 0.5, ", ""), NO_CLASSIFIER), "unknown-field", "error", "sure: {entering", "policy.approvals.sure.when.0", ("policy.limits.usd",)),
    Row("an argument of a step reads what no step before it returns", (("question: decision.question", "question: last.word"),), "unknown-field", "error", "asking: {ask", "phases.reviewing.steps.asking.with.question"),
    Row("a word outside the enum", (("last.status == good", "last.status == fine"),), "unknown-word", "error", "    ask: {when", "rules.writing.ask.when.0", ("last.status == 'fine'", "bad, good")),
    Row("unlike a word outside the enum", (("last.status == good", "last.status != fine"),), "unknown-word", "error", "    ask: {when", "rules.writing.ask.when.0", ("last.status != 'fine'",)),
    Row("returned something else", (("guard: [returned == late]", "guard: [returned == slow]"),), "unknown-word", "error", "- {from: waiting, to", "actions.GIVE_UP.1.guard.0", ("failed, in_doubt, late, ok",)),
    Row("a phase that is none", (("error_count > 2", "phase == draft"),), "unknown-word", "error", "complex: {failing", "policy.classifier.complex.failing.0", ("did you mean drafting?",)),
    Row("a step that is no step", (("error_count > 2", "step == write"),), "unknown-word", "error", "complex: {failing", "policy.classifier.complex.failing.0", ("did you mean writing?",)),
    Row("an action in an answer that is none", (("confidence >= 0.7", "action == ASKED"),), "unknown-word", "error", "    model: {", "policy.rungs.model.accept.sure.0", ("did you mean ASK?",)),
    Row("text compared with a number", (("last.status == good", "last.text > 5"),), "kind-mismatch", "error", "    ask: {when", "rules.writing.ask.when.0", ("a comparison with a number", "a comparison with text")),
    Row("a number compared with a word", (("guard: [taken.ASK < 3]", "guard: [taken.ASK == three]"),), "kind-mismatch", "error", "  ASK: {from", "actions.ASK.guard.0", ("a comparison with text", "a comparison with a number")),
    Row("a flag compared with a number", (("fails: [done == false]", "fails: [done == 0]"),), "kind-mismatch", "error", "  writer: {", "agents.writer.fails.0", ("true or false",)),
    Row("a mapping compared with a word", (("last.status == good", "last == good"),), "kind-mismatch", "error", "    ask: {when", "rules.writing.ask.when.0", ("a field of it", "last is a mapping")),
    Row("a list compared with a word", (("last.status == good", "all.draft.status == good"),), "kind-mismatch", "error", "    ask: {when", "rules.writing.ask.when.0", ("all.draft.status is a list",)),
    Row("a signal compared with a signal", (("last.status == good", "last.text == input.topic"),), "two-signals", "warning", "    ask: {when", "rules.writing.ask.when.0", ("two signals are never compared",)),
]  # fmt: skip

USES = [
    Row("a text that is not heard", (("- {from: [writing, asking], to", "- {description: a, from: [writing, asking], to"), ("- {from: waiting, to", "- {description: b, from: waiting, to")), "unheard-text", "warning", "- {description: b", "actions.GIVE_UP.1.description", ("one description for all of GIVE_UP",)),
    Row("an agent that nothing calls", (("  editor: {output", "  reader: {}\n  editor: {output"),), "unused-agent", "warning", "reader: {}", "agents.reader"),
    Row("a prompt that nothing refers to", (("  write@1: Write about it.", "  write@1: Write about it.\n  write@2: Write more."),), "unused-prompt", "warning", "write@2", "prompts.write@2"),
    Row("a prompt that is missing", (("prompt: write@1", "prompt: write@2"), ("prompts:\n  write@1: Write about it.\n", "")), "missing-prompt", "warning", "writing: {agent", "phases.drafting.steps.writing.prompt", ("prompt 'write@2'", "prompts/")),
    Row("a rung's prompt that is missing", (("accept: {sure", "prompt: ask@1, accept: {sure"),), "missing-prompt", "warning", "    model: {", "policy.rungs.model.prompt", ("prompt 'ask@1'",)),
    Row("a rung that no route asks", (("  rungs:\n", '  rungs:\n    idle: {model: "openai:z"}\n'),), "unused-rung", "warning", "idle: {model", "policy.rungs.idle"),
    Row("a person whom nobody asks", (("ask: [panel, person]", "ask: [panel]"),), "unused-rung", "warning", "    person: {", "policy.rungs.person"),
    Row("an action that nobody can choose", (*NOBODY_ASKED, ("  WAIT: {from", "  REST: {from: asking, to: waiting, guard: [returned == ok]}\n  WAIT: {from")), "unused-action", "warning", "REST: {", "actions.REST"),
]  # fmt: skip

POSITIVE = [*EXAMPLES, *WAYS, *RULES, *GUARDS, *FIELDS, *USES]

NEGATIVE: list[tuple[str, tuple[Edit, ...]]] = [
    ("an example that is prose", ((ASK, ASK[:-1] + ", example: Ask for the year.}"),)),
    ("an example of parameters only", ((ASK, ASK[:-1] + """, example: '{"question": "which year?"}'}"""),)),
    ("an example that is an answer", ((ASK, ASK[:-1] + """, example: '{"action": "ASK", "reason": "why", "parameters": {"question": "which?"}}'}"""),)),
    ("an example without parameters", (("WAIT: {from: asking", """WAIT: {example: '{"action": "WAIT", "parameters": null}', from: asking"""),)),
    ("the same text twice", (("- {from: [writing, asking], to", "- {description: a, from: [writing, asking], to"), ("- {from: waiting, to", "- {description: a, from: waiting, to"))),
    ("a step that leads back to itself but has an effect", (("  WAIT: {from", "  AGAIN: {from: writing, to: writing}\n  WAIT: {from"),)),
    ("an end that only STOP leads to", (("  failed: {success", "  stopped: {success: false}\n  failed: {success"), ("then: failed", "then: stopped"))),
    ("a last rule with a condition, where the rules leave nothing", (("stop: {do: GIVE_UP, because: nothing came}", "stop: {when: [returned == late], do: GIVE_UP}"),)),
    ("all actions guarded, but one always holds", (("- {from: [writing, asking], to: failed}", "- {from: writing, to: failed}\n    - {from: asking, to: failed, guard: [returned != ok]}"),)),
    ("guards on counts that leave nothing", (("  WRITE: {from: [idle, waiting], to: writing}", "  WRITE:\n    - {from: waiting, to: writing}\n    - {from: idle, to: writing, guard: [taken.WRITE < 5]}\n  REST: {from: idle, to: failed, guard: [taken.WRITE >= 5]}"), ("begin: {do: WRITE, because: there is a topic}", "begin: {do: WRITE}\n    rest: {do: REST}"))),
    ("a rule after the same with a condition more", (("stop: {do: GIVE_UP, because: it is bad}", "bad: {when: [last.status == bad], do: GIVE_UP}\n    stop: {do: GIVE_UP}"),)),
    ("a rule after one that a person may refuse", (("ask: {when: [last.status == good, score.score >= 5], do: ASK, with: {question: last.text}, because: it looks good}", "ask: {when: [returned == ok], do: ASK, with: {question: last.text}}\n    late: {when: [returned == ok, taken.ASK < 3], do: GIVE_UP}"),)),
    ("a rule that its guard leaves something", (("stop: {do: GIVE_UP, because: it is bad}", "second: {when: [returned == ok], do: ASK, with: {question: last.text}}\n    stop: {do: GIVE_UP}"),)),
    ("the error of a failed call", (("last.status == good", "last.error == timeout"),)),
    ("the type of the error of a failed call", (("last.status == good", "last.error_type != timeout"),)),
    ("what a person failed to say", (("question: last.text", "question: last.error"),)),
    ("any field of an agent that declares none", (("  editor: {output: {text: string}}", "  editor: {}"), ("last.status == good", "last.whatever == 5"))),
    ("any field of a message", (("again: {when: [returned == ok]", "early: {when: [last.note == more], do: WRITE}\n    again: {when: [returned == ok]"),)),
    ("nested fields of an open schema", (("text: string, status", "text: object, status"), ("last.status == good", "last.text.deep.down == 5"))),
    ("a word beside another kind", (("status: {enum: [good, bad]}", "status: {type: [string, number]}"), ("last.status == good", "last.status == 5"))),
    ("a schema of many", (("status: {enum: [good, bad]}", "status: {anyOf: [{type: string}, {type: number}]}"), ("last.status == good", "last.status == 5"))),
    ("what an argument reads of a step before it", (("question: decision.question", "question: last.text"),)),
    ("STOP was taken", (("guard: [taken.ASK < 3]", "guard: [taken.STOP < 3]"),)),
    ("the margin in the classifier", (("budget_used < 0.9", "rule_margin < 0.1"),)),
    ("another step's name in the classifier", (("error_count > 2", "step == writing"),)),
    ("any word where words are open", (("error_count > 2", "situation == abc"),)),
    ("a text with dots that is no signal", (("last.status == good", "last.text == example.org"),)),
    ("an action that only a model or person does", (("  WAIT: {from", "  REST: {from: asking, to: waiting, guard: [returned == ok]}\n  WAIT: {from"),)),
    ("a person asked in a conflict only", (("ask: [panel, person], reconcile: rule_wins", "ask: [panel], reconcile: person_on_conflict"),)),
    ("a person asked by the unsure only", (("ask: [panel, person]", "ask: [panel]"), ("  approvals:", "  on_low_confidence: person\n  approvals:"))),
    ("a prompt that another one includes", (("  write@1: Write about it.", "  write@1: Write about it as in style@1.\n  style@1: Short."),)),
    ("no classifier", (("    complex: {failing: [error_count > 2]}\n    hybrid: {odd: [consecutive_errors > 0, budget_used < 0.9]}\n", "    {}\n"),)),
]  # fmt: skip


@pytest.mark.parametrize("case", POSITIVE, ids=lambda case: case.name)
def test_one_mistake_one_lint(case: Row) -> None:
    text = edited(*case.edits)
    found = lints_of(text)
    assert [(each.code, each.level) for each in found] == [(case.code, case.level)], [str(each) for each in found]
    problem = found[0]
    assert problem.where == case.where
    assert problem.line == line_of(case.at, text)
    assert problem.file == "small.yaml"
    for piece in case.says:
        assert piece in str(problem)


@pytest.mark.parametrize("case", NEGATIVE, ids=lambda case: case[0])
def test_nearly_a_mistake(case: tuple[str, tuple[Edit, ...]]) -> None:
    assert [str(each) for each in lints_of(edited(*case[1]))] == []


def test_every_row_has_its_own_name() -> None:
    names = [case.name for case in POSITIVE] + [name for name, _ in NEGATIVE]
    assert len({*names}) == len(names)


def test_the_small_file_is_clean() -> None:
    assert lints_of(SMALL) == ()


def test_the_printed_workflow_only_misses_its_prompt_file() -> None:
    (problem,) = lints_of(TEXT_TO_SQL)
    assert (problem.code, problem.level) == ("missing-prompt", "warning")
    assert problem.line == line_of("planning:   {agent: planner", TEXT_TO_SQL)
    assert lints_of(TEXT_TO_SQL, ("plan_query@1",)) == ()


def test_a_prompt_file_that_nothing_refers_to() -> None:
    (problem,) = lints_of(SMALL, ("old@3",))
    assert (problem.code, problem.where, problem.line) == ("unused-prompt", "prompts/old@3", 0)


def test_without_lines_the_keys_still_say_where() -> None:
    data, _ = read_yaml(edited(("guard: [taken.ASK < 3]", "guard: [taken.ASKED < 3]")))
    (problem,) = lint(build(data))
    assert (problem.where, problem.line, problem.file) == ("actions.ASK.guard.0", 0, "")


def test_a_users_signal_may_be_anything() -> None:
    @signal("mood", start="calm")
    def mood(before: str, _: Observation) -> str:
        """How it feels."""
        return before

    data, lines = read_yaml(edited(("last.status == good", "mood == angry"), ("score.score >= 5", "mood.depth > 3")))
    assert lint(build(data, lines=lines, signals=[mood]), lines) == ()


def test_several_lints_stand_in_the_order_of_the_file() -> None:
    text = edited(
        ("last.status == good", "last.state == good"),
        ("  editor: {output", "  reader: {}\n  editor: {output"),
        ("visits.writing > 1", "visits.write > 1"),
    )
    assert [each.code for each in lints_of(text)] == ["unused-agent", "unknown-field", "unknown-field"]
    lines = [each.line for each in lints_of(text)]
    assert lines == sorted(lines)


@given(st.sampled_from(paths(DATA)[1:]), values)
def test_whatever_builds_can_be_linted(path: tuple[Any, ...], value: object) -> None:
    try:
        definition = build(replaced(DATA, path, value))
    except DefinitionError:
        return
    for problem in lint(definition):
        assert problem.found
        assert problem.expected
        assert problem.code
        assert problem.level in ("error", "warning")


CLAUSES = st.sampled_from(
    ["returned == ok", "returned != ok", "taken.ASK < 2", "taken.ASK >= 2", "last.status == good", "error_count > 1"]
)


@given(st.lists(CLAUSES, max_size=3), st.lists(CLAUSES, max_size=3), st.lists(CLAUSES, max_size=3))
def test_no_lint_says_never_of_what_happens(guard: list[str], first: list[str], second: list[str]) -> None:
    """Facts are tried one by one: a rule that they choose is not dead, a guard that they satisfy not impossible."""
    data = replaced(DATA, ("actions", "ASK", "guard"), guard)
    data["phases"]["drafting"]["converged"] = []
    data["policy"]["approvals"] = {}
    data["rules"]["writing"] = {"one": {"when": first, "do": "ASK"}, "two": {"when": second, "do": "GIVE_UP"}}
    definition = build(data)
    codes = {(problem.code, problem.where) for problem in lint(definition)}
    impossible = any(code == "impossible-guard" for code, _ in codes)
    moves = {move.option.action: move.guard for move in definition.moves["writing"]}
    for returned, status, taken, errors in product(["ok", "failed"], ["good", "bad"], [0, 2], [0, 2]):
        facts = {"returned": returned, "last": {"status": status}, "taken": {"ASK": taken}, "error_count": errors}
        legal = [action for action, each in moves.items() if each.holds(facts)]
        chosen = choose(definition.policy.rules["writing"], facts, legal).rule
        if chosen is not None:
            assert ("dead-rule", f"rules.writing.{chosen.name}") not in codes
        elif not impossible:
            assert ("no-default-rule", "rules.writing.two") in codes
        assert "ASK" not in legal or not impossible
