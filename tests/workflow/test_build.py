# ruff: noqa: E501 - a row of a table is a line
"""From a mapping to a definition: what is resolved, what the hashes name, and that any mapping builds or says why not."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.classifier import DEFAULT
from stepladder.clauses import Condition
from stepladder.errors import DefinitionError
from stepladder.signals import Observation, Signal, signal
from stepladder.workflow.build import MEASURES, ROOTS, SUPERVISOR_PROMPT, build
from stepladder.workflow.definition import CallEffect, Definition, PersonEffect, Step, WaitEffect
from stepladder.workflow.hashes import resolved
from stepladder.workflow.yaml_text import read_yaml
from tests.workflow.small import SMALL, TEXT_TO_SQL, built, edited, paths, problems_of, replaced, values

DATA, LINES = read_yaml(SMALL)

# --- what is resolved


def test_steps_and_their_effects() -> None:
    steps = built().steps
    writing, asking, waiting = steps["writing"].effect, steps["asking"].effect, steps["waiting"].effect
    assert steps["idle"].effect is None
    assert steps["writing"].phase == "drafting"
    assert isinstance(writing, CallEffect)
    assert (writing.agents, writing.name, writing.prompt) == (("writer", "editor"), "draft", "write@1")
    assert (writing.timeout_s, writing.retry.attempts, writing.retry.pause_s(2)) == (20, 2, 1.0)
    assert isinstance(asking, PersonEffect)
    assert asking.check is not None
    assert asking.check({"word": "yes"}) == ""
    assert asking.check({"word": "maybe"})
    assert isinstance(waiting, WaitEffect)
    assert (waiting.name, waiting.message, waiting.seconds) == ("waiting", "go", 5)


def test_moves_carry_their_guards_and_the_convergence() -> None:
    moves = {step: {move.option.action: move for move in found} for step, found in built().moves.items()}
    assert set(moves["writing"]) == {"ASK", "GIVE_UP"}
    assert moves["writing"]["ASK"].guard == Condition(["taken.ASK < 3", "returned == ok"])
    assert moves["writing"]["GIVE_UP"].guard == Condition()  # a failing end is never guarded by convergence
    assert moves["waiting"]["WRITE"].guard == Condition()  # nor is the way back
    assert moves["asking"]["FINISH"].option.to == "done"
    assert moves["writing"]["ASK"].option.significant == ("question",)


def test_convergence_guards_a_successful_end() -> None:
    text = edited(
        ("    converged: [returned == ok]\n", ""),
        ("waiting: {wait: {message: go, deadline_s: 5}}", "waiting: {wait: {message: go, deadline_s: 5}}\n    converged: [taken.WAIT < 5]"),
    )  # fmt: skip
    moves = {move.option.action: move for move in built(text).moves["asking"]}
    assert moves["FINISH"].guard == Condition(["last.word == yes", "taken.WAIT < 5"])
    assert moves["WAIT"].guard == Condition(["returned == ok"])


def test_star_is_every_step() -> None:
    text = edited(
        ("- {from: [writing, asking], to: failed}", "- {from: '*', to: failed}"),
        ("    - {from: waiting, to: failed, guard: [returned == late]}\n", ""),
    )
    assert all(any(move.option.action == "GIVE_UP" for move in moves) for moves in built(text).moves.values())


def test_the_ladder() -> None:
    ladder = built().policy.ladder
    assert ladder.rungs["model"].models == ("openai:a",)
    assert ladder.rungs["model"].prompt == SUPERVISOR_PROMPT
    assert (ladder.rungs["panel"].quorum, ladder.rungs["panel"].deadline_s) == (2, 5.0)
    assert ladder.rungs["person"].is_person
    assert ladder.routes["complex"].rollout == "model_wins"
    assert ladder.route("standard").ask == ()


def test_defaults() -> None:
    data = {
        "workflow": "least",
        "start": "a",
        "phases": {"p": {"steps": {"a": {}}}},
        "ends": {"z": {"success": False}},
        "actions": {"GO": {"from": "a", "to": "z"}},
    }
    definition = build(data)
    assert definition.version == 1
    assert definition.policy.limits.then == "z"
    assert definition.policy.limits.decisions == 100
    assert "many_errors" in definition.policy.ladder.classifier.complex.named
    assert definition.check_input is not None
    assert definition.check_input({"x": 1})
    assert definition.collects == frozenset()


def test_only_signals_that_are_read_are_folded() -> None:
    names = {each.name for each in built().fold.signals}
    assert names == {"error_count", "consecutive_errors", "score"}


def test_what_is_collected() -> None:
    assert built(TEXT_TO_SQL).collects == {"answer"}


def test_a_person_who_is_asked_for_nothing_particular_may_say_anything() -> None:
    effect = built(edited((", output: {word: {enum: [yes, no]}}", ""))).steps["asking"].effect
    assert isinstance(effect, PersonEffect)
    assert effect.check is None


@signal("mood", start=0)
def mood(before: int, _: Observation) -> int:
    """How it feels."""
    return before + 1


def test_a_users_signal() -> None:
    data, _ = read_yaml(edited(("error_count > 2", "mood > 2")))
    assert "mood" in {each.name for each in build(data, signals=[mood]).fold.signals}
    with pytest.raises(DefinitionError, match="signal 'mood'"):
        build(data)


@pytest.mark.parametrize("name", [*sorted(ROOTS)[:2], *sorted(MEASURES)[:1], "secret", "two words", "a.b", ""])
def test_a_signal_may_not_hide_what_there_is(name: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        build(DATA, signals=[Signal(name, 0, lambda memory, _: memory)])
    (problem,) = caught.value.problems
    assert repr(name) in problem.found


def test_prompts_beside_the_file_are_added() -> None:
    prompts = build(DATA, prompts={"write@1": "from a file", "old@1": "from a file"}).prompts
    assert prompts == {"write@1": "Write about it.", "old@1": "from a file"}


def test_a_mapping_from_python_needs_no_file() -> None:
    with pytest.raises(DefinitionError) as caught:
        build({**DATA, "start": "idel"})
    assert str(caught.value).startswith("start: found step 'idel'")


BROKEN_VALUES: list[tuple[Any, str, str]] = [
    (float("nan"), "version", "nan"),
    ("\ud800", "version", "surrogate"),
    (object(), "version", "a object"),
    ({1: 2}, "version", "a key of type int"),
]


@pytest.mark.parametrize(("value", "where", "found"), BROKEN_VALUES, ids=["nan", "surrogate", "object", "key"])
def test_only_plain_values(value: Any, where: str, found: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        build({**DATA, "version": value})
    (problem,) = caught.value.problems
    assert problem.where.removesuffix(".1") == where
    assert found in problem.found


# --- hashes


def hashes(definition: Definition) -> tuple[str, str]:
    return definition.hash, definition.policy.hash


BEFORE = hashes(built())

SAME = [
    ("white space in a clause", "error_count > 2", "error_count   >  2"),
    ("no white space in a clause", "last.status == good", "last.status==good"),
    ("a quoted word", "last.status == good", '"last.status == \'good\'"'),
    ("one name for a list of one", "- {from: waiting, to", "- {from: [waiting], to"),
    ("a list of one action", "  WAIT: {from: asking, to: waiting, guard: [returned == ok]}", "  WAIT: [{from: asking, to: waiting, guard: [returned == ok]}]"),
    ("order of keys", "{ask: [model], reconcile: confident_model,", "{reconcile: confident_model, ask: [model],"),
    ("order of keys in a step", "{agent: [writer, editor], as: draft,", "{as: draft, agent: [writer, editor],"),
    ("order of fields", "input: {topic: string, pages: integer}", "input: {pages: integer, topic: string}"),
    ("version", "version: 1\n", ""),
    ("no guard", "to: writing}", "to: writing, guard: []}"),
    ("no condition", "begin: {do", "begin: {when: [], do"),
    ("no arguments", "begin: {do", "begin: {with: {}, do"),
    ("no parameters", "to: writing}", "to: writing, parameters: {}, significant: []}"),
    ("the step's own name", "      waiting: {", "      waiting: {as: waiting, "),
    ("a step without a description", "      writing: {", "      writing: {description: '', "),
    ("the mode", "  limits: {", "  mode: hybrid\n  limits: {"),
    ("what happens to invalid answers", "  limits: {", "  on_invalid: rule\n  on_low_confidence: next_rung\n  limits: {"),
    ("the only failing end", ", then: failed", ""),
    ("a quorum of one", "model: {model:", "model: {quorum: 1, model:"),
    ("a majority", ", quorum: 2", ""),
    ("the supervisor's prompt", "model: {model:", f"model: {{prompt: {SUPERVISOR_PROMPT}, model:"),
    ("a list of one model", 'model: {model: "openai:a"', 'model: {models: ["openai:a"]'),
    ("the deadline of models", "quorum: 2}", "quorum: 2, deadline_s: 5}"),
    ("how sure", "reconcile: rule_wins", "confidence: 0.8, reconcile: rule_wins"),
    ("a whole number of seconds", "timeout_s: 20", "timeout_s: 20.0"),
    ("a type as a schema", "topic: string", "topic: {type: string}"),
    ("an agent without promise", "  editor: {", "  editor: {idempotent: false, fails: [], scores: {}, description: '', "),
    ("no texts", "  WAIT: {", "  WAIT: {description: '', use_when: '', example: '', "),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new"), SAME, ids=[row[0] for row in SAME])
def test_what_means_the_same_changes_no_hash(name: str, old: str, new: str) -> None:
    assert hashes(built(edited((old, new)))) == BEFORE


def test_the_order_of_steps_and_sections_means_nothing() -> None:
    assert hashes(built(edited(("      idle: {}\n", ""), ("    converged", "      idle: {}\n    converged")))) == BEFORE
    assert hashes(build(dict(reversed(DATA.items())))) == BEFORE


def test_one_attempt_is_the_default() -> None:
    without = edited((", retry: {attempts: 2, backoff_s: 0.5}", ""))
    one = edited(("{attempts: 2, backoff_s: 0.5}", "{attempts: 1, backoff_s: 0}"))
    assert hashes(built(without)) == hashes(built(one)) != BEFORE


def test_the_default_classifier_written_out() -> None:
    written = {"complex": DEFAULT["complex"], "hybrid": DEFAULT["hybrid"]}
    without = {key: item for key, item in DATA["policy"].items() if key != "classifier"}
    policies = [{**DATA["policy"], "classifier": written}, without]
    one, other = (hashes(build({**DATA, "policy": policy})) for policy in policies)
    assert one == other != BEFORE


POLICY = [
    ("a threshold", "error_count > 2", "error_count > 3"),
    ("a rule's condition", "score.score >= 5", "score.score >= 6"),
    ("a reason", "because: it is bad", "because: it is no good"),
    ("a limit", "decisions: 10", "decisions: 11"),
    ("money", "usd: 0.5", "usd: 0.6"),
    ("the reconciler", "reconcile: rule_wins", "reconcile: model_wins"),
    ("a share", "share: 0.5", "share: 0.6"),
    ("how sure", "confidence: 0.9", "confidence: 0.95"),
    ("a model", '"google:b"', '"google:c"'),
    ("what is accepted", "confidence >= 0.7", "confidence >= 0.8"),
    ("what a model is sent", "model: {model:", "model: {attachments: {types: [image/png]}, model:"),
    ("a deadline of a rung", "person: {deadline_s: 60}", "person: {deadline_s: 61}"),
    ("an approval", "entering: reviewing", "entering: asking"),
    ("a prompt", "Write about it.", "Write about it well."),
    ("which agent", "visits.writing > 1", "visits.writing > 2"),
    ("a text for the supervisor", "  WAIT: {", "  WAIT: {use_when: the person wants more, "),
    ("what happens to invalid answers", "  approvals:", "  on_invalid: next_rung\n  approvals:"),
    (
        "the order of rules",
        "    finish: {when: [last.word == yes], do: FINISH, because: the person likes it}\n    wait: {when: [returned == ok], do: WAIT, because: the person does not like it}\n",
        "    wait: {when: [returned == ok], do: WAIT, because: the person does not like it}\n    finish: {when: [last.word == yes], do: FINISH, because: the person likes it}\n",
    ),
    ("the order of rungs", "ask: [panel, person]", "ask: [person, panel]"),
]


@pytest.mark.parametrize(("name", "old", "new"), POLICY, ids=[row[0] for row in POLICY])
def test_tuning_changes_only_the_policy_hash(name: str, old: str, new: str) -> None:
    workflow, policy = hashes(built(edited((old, new))))
    assert workflow == BEFORE[0]
    assert policy != BEFORE[1]


WORKFLOW = [
    ("a guard", "guard: [taken.ASK < 3]", "guard: [taken.ASK < 4]"),
    ("the convergence", "converged: [returned == ok]", "converged: [returned != late]"),
    ("an argument", "topic: input.topic", "topic: input.pages"),
    ("a timeout", "timeout_s: 20", "timeout_s: 21"),
    ("a retry", "attempts: 2", "attempts: 3"),
    ("a promise", "idempotent: true", "idempotent: false"),
    ("a field", "pages: integer", "pages: number"),
    ("an answer", "enum: [yes, no]", "enum: [yes, no, later]"),
    ("a failure", "fails: [done == false]", "fails: [done != true]"),
    ("a range", "score: [0, 10]", "score: [0, 5]"),
    ("an output", "why: decision.because", "reason: decision.because"),
    ("the version", "version: 1", "version: 2"),
    ("the name", "workflow: small", "workflow: smaller"),
    ("a parameter", "{question: string}", "{question: any}"),
    ("what counts for agreement", "significant: [question]", "significant: []"),
    ("who comes first", "agent: [writer, editor]", "agent: [editor, writer]"),
    ("how long to wait", "deadline_s: 5}}", "deadline_s: 6}}"),
]


@pytest.mark.parametrize(("name", "old", "new"), WORKFLOW, ids=[row[0] for row in WORKFLOW])
def test_the_workflow_changes_its_own_hash(name: str, old: str, new: str) -> None:
    workflow, policy = hashes(built(edited((old, new))))
    assert workflow != BEFORE[0]
    assert policy == BEFORE[1]


def test_the_order_of_actions_is_the_order_of_options() -> None:
    wait = "  WAIT: {from: asking, to: waiting, guard: [returned == ok]}\n"
    turned = edited((wait, ""), ("  GIVE_UP:\n", wait + "  GIVE_UP:\n"))
    assert built(turned).hash != BEFORE[0]
    assert built(turned).policy.hash == BEFORE[1]


@pytest.mark.parametrize(
    ("where", "old", "new", "changed"),
    [
        ("read by the classifier", "error_count > 2", "mood > 2", (False, True)),
        ("read by a guard", "guard: [taken.ASK < 3]", "guard: [mood < 3]", (True, False)),
    ],
)
def test_the_version_of_a_users_signal_belongs_to_what_reads_it(
    where: str, old: str, new: str, changed: tuple[bool, bool]
) -> None:
    data, _ = read_yaml(edited((old, new)))
    before = hashes(build(data, signals=[mood]))
    after = hashes(build(data, signals=[msgspec.structs.replace(mood, version=2)]))
    assert (before[0] != after[0], before[1] != after[1]) == changed


def test_a_signal_that_nothing_reads_changes_no_hash() -> None:
    assert hashes(build(DATA, signals=[mood])) == BEFORE


def test_a_signal_that_stands_in_for_a_built_in_one_is_hashed() -> None:
    own = Signal("error_count", 0, lambda memory, _: memory)
    assert hashes(build(DATA, signals=[own])) != BEFORE


def test_the_workflows_description_belongs_to_the_prompts_and_so_to_the_policy() -> None:
    workflow, policy = hashes(built("description: what it is for\n" + SMALL))
    assert (workflow == BEFORE[0], policy == BEFORE[1]) == (True, False)


@pytest.mark.parametrize("name", ["budget_used", "time_used", "rule_margin"])
def test_what_depends_on_the_policy_is_no_argument_of_a_step(name: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        built(edited(("topic: input.topic", f"topic: {name}")))
    assert repr(name) in str(raised.value)


@pytest.mark.parametrize("text", [SMALL, TEXT_TO_SQL], ids=["small", "text_to_sql"])
def test_the_source_builds_the_same_again(text: str) -> None:
    first = built(text)
    again = build(msgspec.json.decode(msgspec.json.encode(first.source)), prompts=first.prompts)
    assert hashes(again) == hashes(first)
    assert again.source == first.source


# --- any mapping, any text


PATHS = paths(DATA)[1:]


def builds_or_says_why_not(data: dict[str, Any]) -> None:
    try:
        definition = build(data)
    except DefinitionError as error:
        assert error.problems
        assert all(problem.found and problem.expected for problem in error.problems)
    else:
        assert len(definition.hash) == len(definition.policy.hash) == 16
        json.dumps(definition.source)


@given(st.sampled_from(PATHS), values)
def test_any_value_anywhere(path: tuple[Any, ...], value: object) -> None:
    builds_or_says_why_not(replaced(DATA, path, value))


@given(st.sampled_from(PATHS))
def test_anything_left_out(path: tuple[Any, ...]) -> None:
    data = copy.deepcopy(DATA)
    place: Any = data
    for part in path[:-1]:
        place = place[part]
    del place[path[-1]]
    builds_or_says_why_not(data)


@given(st.dictionaries(st.sampled_from([*DATA, "other"]), values))
def test_any_mapping(data: dict[str, Any]) -> None:
    builds_or_says_why_not(data)


@given(
    st.integers(0, len(SMALL)), st.integers(0, 30), st.text(max_size=5) | st.sampled_from(list("{}[]:,'\"\t\n-#&*!"))
)
def test_any_text(start: int, length: int, new: str) -> None:
    text = SMALL[:start] + new + SMALL[start + length :]
    for problem in problems_of(text):
        assert problem.found
        assert problem.expected
        assert 0 <= problem.line <= text.count("\n") + 2


def test_a_key_that_came_later_changes_no_hash_where_it_says_nothing() -> None:
    assert "judges" not in resolved(Step("a", "b"))[1]
    assert resolved(Step("a", "b", judges=("c",)))[1]["judges"] == ["c"]
