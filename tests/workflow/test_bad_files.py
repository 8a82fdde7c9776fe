# ruff: noqa: E501 - a row of the table is a line
"""Broken workflow files: one mistake each, one problem each, at its line, with what was found and what was expected."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.workflow.small import SMALL, TEXT_TO_SQL, edited, line_of, problems_of

Edit = tuple[str, str]


class Row(NamedTuple):
    """A name, the edits of the small file, and the problem: on the line of `at`, at the key `where`."""

    name: str
    edits: tuple[Edit, ...]
    at: str
    where: str
    found: str
    expected: str


def row(name: str, old: str, new: str, where: str, found: str, expected: str, at: str = "") -> Row:
    """A row with one edit; the problem is on the line where the new text begins, unless `at` says otherwise."""
    return Row(name, ((old, new),), at or new, where, found, expected)


WRITING = "phases.drafting.steps.writing"
ASKING = "phases.reviewing.steps.asking"
WAITING = "phases.reviewing.steps.waiting"
IDLE = "phases.drafting.steps.idle"

SHAPE = [
    row("unknown key at the top", "start: idle", "start: idle\nstrat: 1", "strat", "key 'strat'", "did you mean start?", at="strat: 1"),
    row("misspelt key that is needed", "start: idle", "strat: idle", "strat", "key 'strat'", "did you mean start?"),
    row("missing name", "workflow: small\n", "", "workflow", "nothing", "the key 'workflow'", at="version: 1"),
    row("missing to", "WAIT: {from: asking, to: waiting,", "WAIT: {from: asking,", "actions.WAIT.to", "nothing", "'to'"),
    row("misspelt from", "WAIT: {from: asking", "WAIT: {form: asking", "actions.WAIT.form", "key 'form'", "did you mean from?"),
    row("name with a blank", "workflow: small", "workflow: small one", "workflow", "'small one'", "letters, digits and _"),
    row("version that is text", "version: 1", "version: one", "version", "'one'", "a whole number"),
    row("version with a fraction", "version: 1", "version: 1.5", "version", "1.5", "a whole number"),
    row("version zero", "version: 1", "version: 0", "version", "0", "at least 1"),
    row("start that is a list", "start: idle", "start: [idle]", "start", "a list of 1", "text"),
    row("nothing under start", "start: idle", "start:", "start", "nothing (null)", "text"),
    row("flag that is text", "success: true", "success: yes", "ends.done.success", "'yes'", "true or false"),
    row("flag that is a number", "idempotent: true", "idempotent: 1", "agents.writer.idempotent", "1", "true or false"),
    row("steps that are none", "      idle: {}", "      idle:", IDLE, "nothing (null)", "a mapping with the keys"),
    row("a step that is text", "      idle: {}", "      idle: asleep", IDLE, "'asleep'", "a mapping with the keys"),
    row("a name that is a number", "      idle: {}", "      9idle: {}\n      idle: {}", "phases.drafting.steps.9idle", "'9idle'", "not beginning with a digit", at="9idle"),
    row("agents that are a list", "agent: [writer, editor]", "agent: 5", f"{WRITING}.agent", "5", "a name or a list of names"),
    row("guard that is one clause", "guard: [taken.ASK < 3]", "guard: taken.ASK < 3", "actions.ASK.guard", "'taken.ASK < 3'", "a list of clauses"),
    row("when that is one clause", "wait: {when: [returned == ok]", "wait: {when: returned == ok", "rules.asking.wait.when", "'returned == ok'", "a list of clauses"),
    row("action that is text", "  FINISH: {from: asking, to: done, guard: [last.word == yes]}", "  FINISH: done", "actions.FINISH", "'done'", "a mapping with from and to"),
    row("from that is a number", "WAIT: {from: asking", "WAIT: {from: 3", "actions.WAIT.from", "3", "a step, a list of steps, or '*'"),
    row("from that is empty", "WAIT: {from: asking", "WAIT: {from: []", "actions.WAIT.from", "an empty list", "at least 1 entry"),
    row("unknown key in one of several entries", "- {from: waiting, to: failed,", "- {from: waiting, to: failed, guards: [],", "actions.GIVE_UP.1.guards", "key 'guards'", "did you mean guard?"),
    row("unknown key of a step", "timeout_s: 20", "timeout: 20", f"{WRITING}.timeout", "key 'timeout'", "did you mean timeout_s?"),
    row("time below zero", "timeout_s: 20", "timeout_s: -1", f"{WRITING}.timeout_s", "-1", "more than 0"),
    row("time that is text", "timeout_s: 20", "timeout_s: 20s", f"{WRITING}.timeout_s", "'20s'", "a number"),
    row("time beyond ten years", "timeout_s: 20", "timeout_s: 1e12", f"{WRITING}.timeout_s", "1000000000000.0", "at most"),
    row("no attempts", "attempts: 2", "attempts: 0", f"{WRITING}.retry.attempts", "0", "at least 1"),
    row("ask nobody known", "{ask: person", "{ask: robot", f"{ASKING}.ask", "'robot'", "person"),
    row("unknown mode", "reconcile: rule_wins", "reconcile: rules_win", "policy.routes.complex.reconcile", "'rules_win'", "did you mean rule_wins?"),
    row("unknown route", "    hybrid: {ask: [model]", "    hybird: {ask: [model]", "policy.routes.hybird", "'hybird'", "did you mean hybrid?"),
    row("unknown key under policy", "  limits: {", "  limit: {", "policy.limit", "key 'limit'", "did you mean limits?"),
    row("share beyond one", "share: 0.5", "share: 50", "policy.routes.complex.rollout.share", "50", "at most 1"),
    row("confidence below zero", "confidence: 0.9", "confidence: -0.9", "policy.routes.hybrid.confidence", "-0.9", "at least 0"),
    row("a share in percent", "share: 0.5", "share: 50%", "policy.routes.complex.rollout.share", "'50%'", "a number"),
    row("no decisions", "decisions: 10", "decisions: 0", "policy.limits.decisions", "0", "at least 1"),
    row("circles ended at once", "decisions: 10", "no_progress: {end: 1}", "policy.limits.no_progress.end", "1", "at least 2"),
    row("circles ended before anybody is asked", "decisions: 10", "no_progress: {escalate: 3, end: 3}", "policy.limits.no_progress.escalate", "3", "less than end (3), or null: it would never be reached"),
    row("money below zero", "usd: 0.5", "usd: -0.5", "policy.limits.usd", "-0.5", "at least 0"),
    row("quorum zero", "quorum: 2", "quorum: 0", "policy.rungs.panel.quorum", "0", "at least 1"),
    row("attachments without types", 'model: {model: "openai:a", ', 'model: {model: "openai:a", attachments: {bytes: 9}, ', "policy.rungs.model.attachments.types", "nothing", "the key 'types'"),
    row("attachments that are one type", 'model: {model: "openai:a", ', 'model: {model: "openai:a", attachments: {types: image/png}, ', "policy.rungs.model.attachments.types", "'image/png'", "a list of media types"),
    row("attachments that are a list", 'model: {model: "openai:a", ', 'model: {model: "openai:a", attachments: [image/png], ', "policy.rungs.model.attachments", "a list of 1", "a mapping with the keys types, bytes"),
    row("attachments of no types", 'model: {model: "openai:a", ', 'model: {model: "openai:a", attachments: {types: []}, ', "policy.rungs.model.attachments.types", "an empty list", "at least 1 entry"),
    row("attachments of no bytes", 'model: {model: "openai:a", ', 'model: {model: "openai:a", attachments: {types: [image/png], bytes: 0}, ', "policy.rungs.model.attachments.bytes", "0", "at least 1"),
    row("attachments without bound", 'model: {model: "openai:a", ', 'model: {model: "openai:a", attachments: {types: [image/png], bytes: 900000000}, ', "policy.rungs.model.attachments.bytes", "900000000", "at most"),
    row("a range of one", "score: [0, 10]", "score: [0]", "agents.writer.scores.score", "a list of 1", "at least 2 entries"),
    row("a range that is a number", "score: [0, 10]", "score: 10", "agents.writer.scores.score", "10", "a range [low, high]"),
    row("prompt that is a list", "  write@1: Write about it.", "  write@1: [a]", "prompts.write@1", "a list of 1", "text"),
    row("unknown on_invalid", "  approvals:", "  on_invalid: retry\n  approvals:", "policy.on_invalid", "'retry'", "one of: give_up, next_rung, rule"),
]  # fmt: skip

MIGRATES = [
    row("a list of texts", "start: idle", "start: idle\nmigrates: [1]", "migrates.0", "1", "a mapping with the keys from, steps", at="migrates: [1]"),
    row("no list", "start: idle", "start: idle\nmigrates: 1", "migrates", "1", "a mapping with from, or a list", at="migrates: 1"),
    row("from nowhere", "start: idle", "start: idle\nmigrates: {steps: {a: idle}}", "migrates.from", "nothing", "the key 'from'", at="migrates: {steps"),
    row("from a fraction", "start: idle", "start: idle\nmigrates: {from: 1.5}", "migrates.from", "1.5", "text", at="migrates: {from"),
    row("to an unknown step", "start: idle", "start: idle\nmigrates: {from: 1, steps: {a: idel}}", "migrates.steps.a", "step 'idel'", "did you mean idle?", at="migrates: {from"),
    row("to an unknown step, in a list", "start: idle", "start: idle\nmigrates:\n  - {from: 1}\n  - {from: 2, steps: {a: idel}}", "migrates.1.steps.a", "step 'idel'", "did you mean idle?", at="- {from: 2"),
    row("to an unknown end", "start: idle", "start: idle\nmigrates: {from: 1, ends: {a: idle}}", "migrates.ends.a", "end 'idle'", "done", at="migrates: {from"),
    row("to an unknown action", "start: idle", "start: idle\nmigrates: {from: 1, actions: {a: WAITT}}", "migrates.actions.a", "action 'WAITT'", "did you mean WAIT?", at="migrates: {from"),
    row("to an unknown signal", "start: idle", "start: idle\nmigrates: {from: 1, signals: {a: eror_count}}", "migrates.signals.a", "signal 'eror_count'", "did you mean error_count?", at="migrates: {from"),
    row("two steps in one", "start: idle", "start: idle\nmigrates: {from: 1, steps: {a: idle, b: idle}}", "migrates.steps.b", "step 'idle' a second time", "it is a already", at="migrates: {from"),
    row("one workflow twice", "start: idle", "start: idle\nmigrates:\n  - {from: 1}\n  - {from: '1'}", "migrates.1.from", "1 a second time", "each workflow once", at="- {from: '1'}"),
]  # fmt: skip

NAMES = [
    row("unknown start", "start: idle", "start: idel", "start", "step 'idel'", "did you mean idle?"),
    row("unknown agent", "agent: [writer, editor]", "agent: [writer, edito, editor]", f"{WRITING}.agent.1", "agent 'edito'", "did you mean editor?"),
    row("an agent twice", "agent: [writer, editor]", "agent: [writer, editor, writer]", f"{WRITING}.agent.2", "'writer' a second time", "each agent once"),
    row("unknown target", "to: done", "to: doen", "actions.FINISH.to", "step or end 'doen'", "did you mean done?"),
    row("unknown source", "- {from: [writing, asking]", "- {from: [writing, askin]", "actions.GIVE_UP.0.from.1", "step 'askin'", "did you mean asking?"),
    row("star with others", "- {from: [writing, asking]", "- {from: [writing, '*']", "actions.GIVE_UP.0.from", "* with other steps", "either *"),
    row("a transition twice", "- {from: waiting, to", "- {from: [waiting, asking], to", "actions.GIVE_UP.1", "GIVE_UP from asking a second time", "one transition per source step"),
    row("an action called STOP", "  WAIT: {from", "  STOP: {from: asking, to: failed}\n  WAIT: {from", "actions.STOP", "action 'STOP'", "another name", at="STOP: {from"),
    row("an end called cancelled", "  failed: {success", "  cancelled: {success: true}\n  failed: {success", "ends.cancelled", "'cancelled'", "another name", at="cancelled: {"),
    row("an end named as a step", "  failed: {success", "  idle: {success: true}\n  failed: {success", "ends.idle", "the name of a step, 'idle'", "another name", at="idle: {success"),
    row("a step in two phases", "      waiting: {wait", "      idle: {}\n      waiting: {wait", "phases.reviewing.steps.idle", "step 'idle' a second time", "it is in drafting", at="idle: {}\n      waiting"),
    row("rules of an unknown step", "  idle:\n    begin", "  idel:\n    begin", "rules.idel", "step 'idel'", "did you mean idle?"),
    row("a rule with an unknown action", "do: WAIT", "do: WAITT", "rules.asking.wait.do", "action 'WAITT'", "did you mean WAIT?"),
    row("a rule with an action from elsewhere", "do: WAIT", "do: ASK", "rules.asking.wait.do", "action 'ASK'", "leads out of asking: FINISH, GIVE_UP, WAIT", at="do: ASK, because: the person"),
    row("a parameter that the action has not", "with: {question: last.text}", "with: {query: last.text}", "rules.writing.ask.with.query", "parameter of ASK 'query'", "question"),
    row("a parameter of an action without any", "do: WAIT,", "do: WAIT, with: {a: 1},", "rules.asking.wait.with.a", "parameter of WAIT 'a'", "none is defined"),
    row("a parameter of another type", "with: {question: last.text}", "with: {question: 5}", "rules.writing.ask.with.question", "5", 'a value that fits the parameter of ASK (5 is not of type "string")'),
    row("a parameter that is null", "with: {question: last.text}", "with: {question: null}", "rules.writing.ask.with.question", "nothing (null)", 'null is not of type "string"'),
    Row("a parameter that is none of the words", (("parameters: {question: string}", "parameters: {question: {enum: [who, why]}}"), ("with: {question: last.text}", "with: {question: \"'when'\"}")), "with: {question: \"'when'\"}", "rules.writing.ask.with.question", "'when'", "who"),
    row("significant but no parameter", "significant: [question]", "significant: [answer]", "actions.ASK.significant.0", "parameter 'answer'", "question"),
    Row("parameters said in two ways", (("- {from: [writing, asking], to", "- {parameters: {a: string}, from: [writing, asking], to"), ("- {from: waiting, to", "- {parameters: {a: number}, from: waiting, to")), "- {parameters: {a: number}", "actions.GIVE_UP.1.parameters", "other parameters than", "the parameters of GIVE_UP once"),
    row("an agent chosen that is none here", "do: editor", "do: edit", "select_agent.writing.second.do", "agent of this step 'edit'", "did you mean editor?"),
    row("an agent chosen with parameters", "do: editor,", "do: editor, with: {a: 1},", "select_agent.writing.second.with", "key 'with'", "no such key here"),
    row("a choice for a step without one", "select_agent:\n  writing:", "select_agent:\n  asking:", "select_agent.asking", "rules that choose an agent for 'asking'", "a step with several agents", at="asking:\n    second"),
    row("a choice for an unknown step", "select_agent:\n  writing:", "select_agent:\n  writin:", "select_agent.writin", "step 'writin'", "did you mean writing?", at="writin:\n    second"),
    row("unknown rung", "ask: [model]", "ask: [modell]", "policy.routes.hybrid.ask.0", "rung 'modell'", "did you mean model?"),
    row("a rung twice", "ask: [panel, person]", "ask: [panel, person, panel]", "policy.routes.complex.ask.2", "rung 'panel' a second time", "each rung once"),
    row("then is no end", "then: failed", "then: faild", "policy.limits.then", "end 'faild'", "failed"),
    row("then is not failing", "then: failed", "then: done", "policy.limits.then", "end 'done', which succeeds", "success: false (failed)"),
    row("nothing approved", "entering: reviewing", "entering: reviews", "policy.approvals.sure.entering", "'reviews'", "did you mean reviewing?"),
    row("a score that is no output field", "scores: {score: [0, 10]}", "scores: {scroe: [0, 10]}", "agents.writer.scores.scroe", "output field 'scroe'", "did you mean score?"),
]  # fmt: skip

CLAUSES = [
    row("unknown signal", "error_count > 2", "eror_count > 2", "policy.classifier.complex.failing.0", "signal 'eror_count'", "did you mean error_count?"),
    row("unknown signal in the second clause", "score.score >= 5", "scores.score >= 5", "rules.writing.ask.when.1", "signal 'scores'", "did you mean score?"),
    row("one equals sign", "error_count > 2", "error_count = 2", "policy.classifier.complex.failing.0", "'error_count = 2'", "`signal op literal`"),
    row("an operator of another language", "error_count > 2", "error_count === 2", "policy.classifier.complex.failing.0", "literal '= 2'", "a number, true, false"),
    row("no literal", "error_count > 2", "error_count >", "policy.classifier.complex.failing.0", "literal ''", "a number"),
    row("no signal", "error_count > 2", "'> 2'", "policy.classifier.complex.failing.0", "'> 2'", "`signal op literal`"),
    row("only a signal", "error_count > 2", "error_count", "policy.classifier.complex.failing.0", "'error_count'", "`signal op literal`"),
    row("a number with a leading zero", "error_count > 2", "error_count > 02", "policy.classifier.complex.failing.0", "literal '02'", "a number"),
    row("a number beyond 64 bits", "error_count > 2", f"error_count > {'9' * 30}", "policy.classifier.complex.failing.0", "999", "at most 64 bits"),
    row("a number beyond floats", "error_count > 2", "error_count > 1e999", "policy.classifier.complex.failing.0", "1e999", "64-bit float"),
    row("a range", "error_count > 2", "1 < error_count < 3", "policy.classifier.complex.failing.0", "signal '1'", "names joined by dots"),
    row("order of words", "last.status == good", "last.status > good", "rules.writing.ask.when.0", "> with good", "a number after an order sign"),
    row("order of flags", "last.status == good", "last.status >= true", "rules.writing.ask.when.0", ">= with true", "== / !="),
    row("nothing to compare with", "last.status == good", "last.status == null", "rules.writing.ask.when.0", "null", "a missing one satisfies no clause"),
    row("a signal with a hyphen", "last.status == good", "last.sta-tus == good", "rules.writing.ask.when.0", "signal 'last.sta-tus'", "names joined by dots"),
    row("a word with a comma", "last.status == good", "last.status == good, bad", "rules.writing.ask.when.1", "'bad'", "a clause with a comma must be quoted"),
    row("a text with a comma", "last.status == good", "last.status == 'good, bad'", "rules.writing.ask.when.0", "literal \"'good\"", "a clause with a comma must be quoted"),
    row("a thousands separator", "error_count > 2", "error_count > 1,000", "policy.classifier.complex.failing.1", "'000'", "a clause with a comma must be quoted"),
    row("text that does not end", "last.status == good", '"last.status == \'good"', "rules.writing.ask.when.0", "\"'good\"", "'text in quotes'"),
    row("a word with blanks", "last.status == good", "last.status == very good", "rules.writing.ask.when.0", "literal 'very good'", "'text in quotes'"),
    row("a clause that is a number", "error_count > 2", "2", "policy.classifier.complex.failing.0", "2", "text", at="failing: [2]"),
    row("a clause that is a mapping", "error_count > 2", "error_count: 2", "policy.classifier.complex.failing.0", "a mapping of error_count", "text"),
    row("an empty clause", "error_count > 2", "''", "policy.classifier.complex.failing.0", "''", "`signal op literal`"),
    row("no clauses that would always fire", "failing: [error_count > 2]", "failing: []", "policy.classifier.complex.failing", "no clause", "would always fire"),
    row("a guard that reads nothing known", "taken.ASK < 3", "token.ASK < 3", "actions.ASK.guard.0", "signal 'token'", "did you mean taken?"),
    row("convergence that reads nothing known", "converged: [returned == ok]", "converged: [return == ok]", "phases.drafting.converged.0", "signal 'return'", "did you mean returned?"),
    row("fails on a field that is none", "fails: [done == false]", "fails: [don == false]", "agents.writer.fails.0", "output field 'don'", "did you mean done?"),
    row("an answer has no such field", "confidence >= 0.7", "certainty >= 0.7", "policy.rungs.model.accept.sure.0", "field of an answer 'certainty'", "action, agrees, confidence"),
    row("an approval that reads nothing known", "budget_used > 0.5", "budget > 0.5", "policy.approvals.sure.when.0", "signal 'budget'", "did you mean budget_used?"),
]  # fmt: skip

EFFECTS = [
    row("two effects", "{ask: person,", "{ask: person, agent: writer,", f"{ASKING}.ask", "agent and ask", "at most one effect"),
    row("running another workflow", "      idle: {}", "      idle: {workflow: other}", f"{IDLE}.workflow", "effect 'workflow'", "not built yet"),
    row("running a plan", "      idle: {}", "      idle: {plan: {}}", f"{IDLE}.plan", "effect 'plan'", "not built yet"),
    row("mapping over items", "      idle: {}", "      idle: {map: last.items}", f"{IDLE}.map", "effect 'map'", "not built yet"),
    row("retry where a person is asked", "deadline_s: 60, with", "retry: {attempts: 2}, with", f"{ASKING}.retry", "key 'retry'", "a step with ask"),
    row("a deadline where an agent is called", "timeout_s: 20", "deadline_s: 20", f"{WRITING}.deadline_s", "key 'deadline_s'", "a step with agent"),
    row("output where an agent is called", "timeout_s: 20", "output: {a: string}", f"{WRITING}.output", "key 'output'", "a step with agent"),
    row("arguments without effect", "      idle: {}", "      idle: {with: {a: 1}}", f"{IDLE}.with", "key 'with'", "no effect"),
    row("judging where a person is asked", "deadline_s: 60, with", "judges: idle, with", f"{ASKING}.judges", "key 'judges'", "a step with ask"),
    row("judging without scores", "timeout_s: 20", "judges: writing, timeout_s: 20", f"{WRITING}.judges", "a step that judges by editor, which declares no scores", "`scores` under agents.editor"),
    Row("judging a step that is none", (("agent: [writer, editor]", "agent: writer, judges: [idle, idel]"), ("select_agent:\n  writing:\n    second: {when: [visits.writing > 1], do: editor, because: the writer had its turn}\n", "")), "judges: [idle, idel]", f"{WRITING}.judges.1", "step 'idel'", "did you mean idle?"),
    Row("judging a step twice", (("agent: [writer, editor]", "agent: writer, judges: [idle, idle]"), ("select_agent:\n  writing:\n    second: {when: [visits.writing > 1], do: editor, because: the writer had its turn}\n", "")), "judges: [idle, idle]", f"{WRITING}.judges.1", "step 'idle' a second time", "each step once"),
    row("a name without effect", "      idle: {}", "      idle: {as: b}", f"{IDLE}.as", "key 'as'", "no effect"),
    row("arguments of a wait", "deadline_s: 5}}", "deadline_s: 5}, with: {a: 1}}", f"{WAITING}.with", "key 'with'", "a step with wait"),
    row("waiting for nothing", "wait: {message: go, deadline_s: 5}", "wait: {deadline_s: 5}", f"{WAITING}.wait", "neither message nor seconds", "one of them"),
    row("waiting for two things", "message: go, deadline_s: 5", "message: go, seconds: 5", f"{WAITING}.wait.seconds", "both message and seconds", "one of them"),
    row("a deadline for a time", "message: go, deadline_s: 5", "seconds: 3, deadline_s: 5", f"{WAITING}.wait.deadline_s", "key 'deadline_s'", "no deadline beside seconds"),
]  # fmt: skip

VALUES = [
    row("a type that is none", "topic: string", "topic: text", "input.topic", "'text'", "string, number"),
    row("a type that is a number", "topic: string", "topic: 5", "input.topic", "5", "a JSON Schema mapping"),
    row("a schema with a type that is none", "topic: string", "topic: {type: text}", "input.topic.type", "'text'", "a type: string"),
    row("a schema with an enum of one word", "enum: [good, bad]", "enum: good", "agents.writer.output.status.enum", "'good'", "a JSON Schema"),
    row("a schema with a pattern that is none", "topic: string", "topic: {pattern: '('}", "input.topic.pattern", "'('", "a JSON Schema"),
    row("a schema that leads elsewhere", "topic: string", "topic: {$ref: 'http://example.org/x'}", "input.topic.$ref", "key '$ref'", "stands alone"),
    row("a schema of another dialect", "topic: string", "topic: {$schema: 'http://example.org/x'}", "input.topic.$schema", "key '$schema'", "stands alone"),
    row("a person's answer with a bad schema", "output: {word: {enum: [yes, no]}}", "output: {word: yes}", f"{ASKING}.output.word", "'yes'", "a type"),
    row("a parameter with a bad schema", "parameters: {question: string}", "parameters: {question: str}", "actions.ASK.parameters.question", "'str'", "a type"),
    row("a reference to nothing", "topic: input.topic", "topic: inputs.topic", f"{WRITING}.with.topic", "'inputs.topic'", "did you mean input?"),
    row("text that is not quoted", "topic: input.topic", "topic: holidays", f"{WRITING}.with.topic", "'holidays'", "text in quotes"),
    row("a reference inside a list", "topic: input.topic", "topic: [1, input.topic, inputs]", f"{WRITING}.with.topic.2", "'inputs'", "did you mean input?"),
    row("a reference inside a mapping", "topic: input.topic", "topic: {a: {b: inputs}}", f"{WRITING}.with.topic.a.b", "'inputs'", "did you mean input?"),
    row("a bad reference at an end", "text: result.draft.text", "text: results.draft.text", "ends.done.output.text", "'results.draft.text'", "did you mean result?"),
    row("a bad reference in a rule", "with: {question: last.text}", "with: {question: lst.text}", "rules.writing.ask.with.question", "'lst.text'", "did you mean last?"),
    row("a secret without a name", "topic: input.topic", "topic: secret", f"{WRITING}.with.topic", "'secret'", "secret.NAME"),
    row("a secret shown to a person", "question: decision.question", "question: secret.key", f"{ASKING}.with.question", "'secret.key'", "a secret only in the `with` of a step with agent"),
    row("a secret in what a run gives", "text: result.draft.text", "text: secret.key", "ends.done.output.text", "'secret.key'", "a secret only in"),
    row("a range upside down", "score: [0, 10]", "score: [10, 0]", "agents.writer.scores.score", "[10, 0]", "low below high"),
]  # fmt: skip

LADDER = [
    row("a model without provider", 'model: "openai:a"', "model: gpt", "policy.rungs.model.model", "model 'gpt'", "provider:name"),
    row("a model of a panel without provider", '"google:b"', "gpt", "policy.rungs.panel.models.1", "model 'gpt'", "provider:name"),
    row("a rung without model", 'model: {model: "openai:a", ', "model: {", "policy.rungs.model", "no model", "model, models or chain"),
    row("a rung with model and models", 'model: {model: "openai:a"', 'model: {models: ["openai:c"], model: "openai:a"', "policy.rungs.model.models", "both model and models", "one of them"),
    row("a person with a model", "person: {deadline_s: 60", 'person: {model: "openai:c", deadline_s: 60', "policy.rungs.person.model", "key 'model'", "no such key in the rung `person`"),
    row("a person with a prompt", "person: {deadline_s: 60", "person: {prompt: a@1, deadline_s: 60", "policy.rungs.person.prompt", "key 'prompt'", "only deadline_s"),
    row("a media type that is none", 'model: {model: "openai:a", ', 'model: {model: "openai:a", attachments: {types: [image/png, png]}, ', "policy.rungs.model.attachments.types.1", "media type 'png'", "image/png, image/* or application/pdf"),
    row("every media type", 'model: {model: "openai:a", ', 'model: {model: "openai:a", attachments: {types: ["*/*"]}, ', "policy.rungs.model.attachments.types.0", "media type '*/*'", "one in lower case, such as"),
    row("a person with attachments", "person: {deadline_s: 60", "person: {attachments: {types: [image/png]}, deadline_s: 60", "policy.rungs.person.attachments", "key 'attachments'", "only deadline_s"),
    row("a quorum beyond the panel", "quorum: 2", "quorum: 3", "policy.rungs.panel.quorum", "3", "at most 2, the number of models"),
    row("a quorum of one model", "model: {model:", "model: {quorum: 2, model:", "policy.rungs.model.quorum", "2", "at most 1"),
    row("no person to ask", "    person: {deadline_s: 60}\n", "", "policy.routes.complex.ask.1", "person", "a rung `person`", at="complex: {ask"),
]  # fmt: skip
PERSON_GONE = ("    person: {deadline_s: 60}\n", "")
NOBODY_ASKED = ("ask: [panel, person]", "ask: [panel]")
LADDER += [
    Row("no person for a conflict", (PERSON_GONE, NOBODY_ASKED, ("reconcile: rule_wins,", "reconcile: person_on_conflict,")), "complex: {ask", "policy.routes.complex.reconcile", "person", "a rung `person`"),
    Row("no person in the rollout", (PERSON_GONE, NOBODY_ASKED, ("reconcile: model_wins", "reconcile: person_on_conflict")), "complex: {ask", "policy.routes.complex.rollout.reconcile", "person", "a rung `person`"),
    Row("no person for the unsure", (PERSON_GONE, NOBODY_ASKED, ("  approvals:", "  on_low_confidence: person\n  approvals:")), "on_low_confidence", "policy.on_low_confidence", "person", "a rung `person`"),
    Row("no person anywhere, wanted everywhere", (PERSON_GONE, ("reconcile: rule_wins", "reconcile: person_on_conflict")), "complex: {ask", "policy.routes.complex.ask.1", "person", "a rung `person`"),
    Row("then is needed among several", ((", then: failed", ""), ("  failed: {success", "  lost: {success: false}\n  failed: {success")), "limits: {decisions", "policy.limits.then", "nothing", "one of: lost, failed"),
]  # fmt: skip

YAML = [
    row("a key twice", "version: 1", "version: 1\nversion: 2", "", "key 'version' a second time", "each key once", at="version: 2"),
    row("an inner key twice", "as: draft", "as: draft, as: text", WRITING, "key 'as' a second time", "each key once"),
    row("an alias", "      idle: {}", "      idle: &a {}\n      busy: *a", "", "alias *a", "written out", at="busy: *a"),
    row("a merge key", "      idle: {}", "      idle: {<<: {}}", IDLE, "a merge key", "written out"),
    row("a tag", "version: 1", "version: !!int 1", "", "tag tag:yaml.org,2002:int", "a plain value"),
    row("a tag of one's own", "      idle: {}", "      idle: !step {}", "", "tag !step", "a plain value"),
    row("a tab", "      idle: {}", "\tidle: {}", "", "a tab", "spaces"),
    row("a brace that is not closed", "{from: asking, to: done, guard: [last.word == yes]}", "{from: asking, to: done", "", "'{' that is not closed", "'}'", at="{from: asking, to: done"),
    row("a bracket that is not closed", "guard: [last.word == yes]}", "guard: [last.word == yes", "", "'[' that is not closed", "']'"),
    row("a brace too many", "to: waiting, guard: [returned == ok]}", "to: waiting, guard: [returned == ok]}}", "", "", "YAML text"),
    row("a quote that is not closed", "because: there is a topic}", "because: 'there is a topic}", "", "a quote that is not closed", "the same quote"),
    row("a colon in a value", "start: idle", "start: idle: now", "", "mapping values are not allowed", "quote a value"),
    row("a wrong indentation", "version: 1", " version: 1", "", "mapping values are not allowed", "YAML text"),
    row("a mapping as a key", "version: 1", "? {a: b}\n: 1", "", "a mapping as a key", "a name"),
    row("two documents", "agents:", "---\nagents:", "", "another document", "YAML text"),
    row("a control character", "version: 1", "version: \x07", "", r"'\x07'", "without control characters"),
    row("a lone surrogate", "version: 1", "version: \ud800", "", "surrogate", "UTF-8"),
    row("a number in YAML beyond 64 bits", "version: 1", "version: 99999999999999999999", "", "99999999999999999999", "64 bits"),
    row("a number in YAML beyond floats", "usd: 0.5", "usd: 1e400", "policy.limits.usd", "1e400", "64-bit float"),
    row("nesting without end", "      idle: {}", "      idle: " + "[" * 100 + "]" * 100, "", "nesting deeper than 60", "a flatter file"),
    row("a reserved sign", "start: idle", "start: @idle", "", "cannot start any token", "YAML text"),
]  # fmt: skip

ROWS = [*SHAPE, *MIGRATES, *NAMES, *CLAUSES, *EFFECTS, *VALUES, *LADDER, *YAML]


def test_small_file_is_good() -> None:
    assert problems_of(SMALL) == ()
    assert problems_of(TEXT_TO_SQL) == ()


def test_every_row_has_its_own_name() -> None:
    names = [each.name for each in ROWS]
    assert len({*names}) == len(names) >= 60


@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.name)
def test_one_mistake_one_problem(case: Row) -> None:
    text = edited(*case.edits)
    found = problems_of(text)
    assert len(found) == 1, [str(problem) for problem in found]
    problem = found[0]
    assert problem.file == "small.yaml"
    assert problem.line == line_of(case.at, text), str(problem)
    if case.where:
        assert problem.where == case.where
    assert case.found in problem.found
    assert case.expected in problem.expected
    assert problem.level == "error"
    for jargon in ("pydantic", "valid dictionary", "Input should", "instance of", "ctx", "None"):
        assert jargon not in str(problem)


WHOLE = [
    ("nothing", "", 1, "nothing", "a mapping of keys"),
    ("only a comment", "# a workflow\n", 1, "nothing", "a mapping of keys"),
    ("a list", "- workflow\n", 1, "a list", "a mapping of keys"),
    ("a word", "workflow\n", 1, "a single value", "a mapping of keys"),
    ("brackets without end", "[" * 5000, 1, "nesting deeper than 60", "a flatter file"),
    ("more than can be read", "a" * 2_000_001, 0, "2000001 characters", "at most 2000000"),
]


@pytest.mark.parametrize(("name", "text", "line", "found", "expected"), WHOLE, ids=[each[0] for each in WHOLE])
def test_whole_files(name: str, text: str, line: int, found: str, expected: str) -> None:
    (problem,) = problems_of(text)
    assert (problem.line, problem.where) == (line, "")
    assert found in problem.found
    assert expected in problem.expected


def test_an_empty_mapping_lacks_every_key() -> None:
    found = problems_of("{}")
    assert [problem.where for problem in found] == ["workflow", "start", "phases", "ends", "actions"]


def test_no_failing_end() -> None:
    text = edited((", then: failed", ""), ("success: false", "success: true"))
    (problem,) = problems_of(text)
    assert problem.where == "policy.limits.then"
    assert "define an end with success: false" in problem.expected


def test_several_mistakes_in_the_order_of_the_file() -> None:
    text = edited(
        ("start: idle", "start: idel"),
        ("agent: [writer, editor]", "agent: [writer, edito]"),
        ("taken.ASK < 3", "token.ASK < 3"),
        ("then: failed", "then: done"),
        ("error_count > 2", "error_count >"),
        ("do: WAIT,", "do: WAITT,"),
        ("do: editor", "do: writer"),
        ("topic: input.topic", "topic: topic, pages: pages"),
    )
    found = problems_of(text)
    assert [problem.where for problem in found] == [
        "start",
        "phases.drafting.steps.writing.agent.1",
        "phases.drafting.steps.writing.with.topic",
        "phases.drafting.steps.writing.with.pages",
        "actions.ASK.guard.0",
        "rules.asking.wait.do",
        "policy.limits.then",
        "policy.classifier.complex.failing.0",
    ]
    assert [problem.line for problem in found] == sorted(problem.line for problem in found)


def test_each_clause_of_a_list_has_its_own_line() -> None:
    text = edited(
        (
            "{when: [last.status == good, score.score >= 5], ",
            "{when: [\n      last.status == good,\n      scor >= 5,\n      odd = 1], ",
        )
    )
    first, second = problems_of(text)
    assert (first.line, first.where) == (line_of("scor >= 5", text), "rules.writing.ask.when.1")
    assert (second.line, second.where) == (line_of("odd = 1", text), "rules.writing.ask.when.2")


def test_the_message_says_where_and_what() -> None:
    (problem,) = problems_of(edited(("start: idle", "start: idel")))
    assert str(problem) == (
        "small.yaml:4: start: found step 'idel'; expected one of: asking, idle, waiting, writing (did you mean idle?)"
    )
