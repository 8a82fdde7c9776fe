"""OTLP log records: joined with their spans whichever file they are in, and read where their spans are not there."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from stepladder.errors import Problem
from stepladder.scenarios.importers import FORMATS
from stepladder.scenarios.recording import Recording
from stepladder.scenarios.recording_line import parse_line, to_line
from tests.scenarios.test_importers import otlp, read, span, told
from tests.scenarios.test_otlp_forms import ANSWER, DETAILS, PARTS, PAST, USER, dumped, keyed

RECORDED = Path(__file__).parent / "otlp_recorded"
SAID = [
    ("user", "user_message", None, "Where is parcel 7?", None),
    ("assistant", "tool_call", "find_parcel", "", None),
    ("environment", "tool_result", "find_parcel", "no such parcel", None),
    ("assistant", "message", None, "Your parcel is lost.", None),
    ("user", "user_message", None, "Thanks.", None),
    ("assistant", "message", None, "You are welcome.", None),
]
STEPS = [
    ("user", "user_message", None, USER, None),
    ("assistant", "tool_call", "find", "", None),
    ("environment", "tool_result", "find", "no such parcel", None),
    ("assistant", "message", None, ANSWER, None),
]


def imported(*files: Path) -> tuple[list[Recording], list[Problem]]:
    problems: list[Problem] = []
    found = list(FORMATS["otlp"](files, problems.append, lambda _: None))
    for each in found:
        assert parse_line(to_line(each)) == each
    return found, problems


def record(name: str, at: int, body: Any = None, span: str = "", trace: str = "t1", **said: Any) -> dict[str, Any]:
    """A log record; its name is written as either version of the protocol does."""
    (wrapped,) = keyed(body=body)
    named = {"eventName": name} if at % 2 else {}
    return {
        "observedTimeUnixNano": str(at * 10**9 + 5),
        **({"timeUnixNano": str(at * 10**9)} if at % 3 else {}),
        "attributes": keyed(**said, **({} if named else {"event.name": name})),
        **({} if body is None else {"body": wrapped["value"]}),
        **({"traceId": trace} if trace else {}),
        **({"spanId": span} if span else {}),
        **named,
    }


def logs(*records: dict[str, Any]) -> str:
    service = keyed(**{"service.name": "shop"})
    return json.dumps({"resourceLogs": [{"resource": {"attributes": service}, "scopeLogs": [{"logRecords": records}]}]})


# --- what a real SDK wrote


@pytest.mark.parametrize("form", ["messages", "details", "both"])
@pytest.mark.parametrize("order", [("traces", "logs"), ("logs", "traces"), ("logs",)])
def test_what_the_instrumented_sdk_wrote(form: str, order: tuple[str, ...]) -> None:
    (run,), problems = imported(*(RECORDED / f"{form}.{each}.jsonl" for each in order))
    assert not problems
    assert told(run) == SAID
    assert (run.steps[1].args, run.steps[2].ref, run.domain) == ('{"id":7}', 1, "desk")
    if "traces" in order:
        assert (run.identity.model, run.steps[3].tokens, run.steps[3].prompt_tokens) == ("gpt-4o-mini", 7, 22)
    assert [each.ts for each in run.steps] == sorted(str(each.ts) for each in run.steps)
    assert run.after.failed is None


def test_spans_without_what_was_said_are_told_of() -> None:
    found, problems = imported(RECORDED / "details.traces.jsonl")
    assert not found
    assert [each.found for each in problems] == ["no message in 1 run"]


@pytest.mark.parametrize("form", ["messages", "details", "both"])
def test_compressed_and_twice_is_the_same(tmp_path: Path, form: str) -> None:
    """A collector that tries again writes a batch once more."""
    whole, _ = imported(RECORDED / f"{form}.traces.jsonl", RECORDED / f"{form}.logs.jsonl")
    packed = tmp_path / "all.json.gz"
    content = b"".join((RECORDED / f"{form}.{each}.jsonl").read_bytes() for each in ("logs", "traces", "logs"))
    packed.write_bytes(gzip.compress(content))
    again = tmp_path / "again.jsonl"
    shutil.copy(RECORDED / f"{form}.traces.jsonl", again)
    assert imported(packed, again) == (whole, [])


# --- records and their spans

MESSAGES = [
    ("gen_ai.system.message", {"content": "be kind"}),
    ("gen_ai.user.message", {"content": USER}),
    ("gen_ai.choice", {"index": 0, "finish_reason": "tool_calls", "message": PAST[1]}),
    ("gen_ai.user.message", {"content": USER}),
    ("gen_ai.assistant.message", {"tool_calls": PAST[1]["tool_calls"]}),
    ("gen_ai.tool.message", {"id": "c1", "content": "no such parcel"}),
    ("gen_ai.choice", {"index": 0, "message": {"role": "assistant", "content": ANSWER}}),
]


def details(span: str = "", trace: str = "t1", **said: Any) -> list[dict[str, Any]]:
    both = ((10, PARTS[:1], PARTS[1:2]), (30, PARTS[:3], PARTS[3:]))
    return [record(DETAILS, at, None, span or f"s{at}", trace, **dumped(*each), **said) for at, *each in both]


@pytest.mark.parametrize("above", ["nothing", "the application", "an agent"])
@pytest.mark.parametrize("form", ["messages", "details"])
def test_records_whose_calls_have_no_span(tmp_path: Path, form: str, above: str) -> None:
    """All records name the span that was current: of the application, of the agent, or none."""
    parent = "" if above == "nothing" else "s1"
    records = [record(name, 10 + at, body, parent) for at, (name, body) in enumerate(MESSAGES)]
    if form == "details":
        records = details(parent or "s0")
    spans = {"the application": [span("GET /", 1, "")], "an agent": [span("invoke_agent", 1, "")]}.get(above, [])
    random.Random(7).shuffle(records)
    lines = [logs(*records[:3]), otlp(*spans), logs(*records[3:])]
    (run,), problems = read("otlp", tmp_path, "\n".join(lines))
    assert not problems
    assert told(run) == STEPS


def test_what_an_agent_says_again_counts_once(tmp_path: Path) -> None:
    """An agent's span repeats what the spans of its models say."""
    again = record(DETAILS, 40, None, "s1", **dumped(PARTS[:1], PARTS[3:]), **{"gen_ai.operation.name": "invoke_agent"})
    repeated = [record("gen_ai.user.message", 2, USER, "s1"), record("gen_ai.choice", 41, {"message": ANSWER}, "s1")]
    spans = [span("invoke_agent", 1, ""), span("chat", 10), span("chat", 30)]
    for more in ([again], repeated):
        (run,), _ = read("otlp", tmp_path, otlp(*spans) + "\n" + logs(*details(), *more))
        assert told(run) == STEPS


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_no_order_of_files_matters(tmp_path: Path, order: tuple[int, ...]) -> None:
    spans = [span("chat", 10), span("execute_tool", 20, tool__name="find"), span("chat", 30)]
    result = record("gen_ai.choice", 21, {"message": [{"text": "no such parcel"}]}, "s20")
    content = [otlp(spans[0], spans[1]), otlp(spans[2], spans[0]), logs(details()[1]), logs(result, details()[0])]
    files = [tmp_path / f"{place}.jsonl" for place in range(4)]
    for file, said in zip(files, content, strict=True):
        file.write_text(said)
    (run,), problems = imported(*(files[place] for place in order))
    assert not problems
    assert told(run) == [*STEPS[:2], (*STEPS[2][:4], False), STEPS[3]]


@pytest.mark.parametrize("names", ["the span", "the record"])
def test_a_conversation_over_traces(tmp_path: Path, names: str) -> None:
    """Whichever of both names it, the other belongs to it, and so do the tools in its trace."""
    lines = []
    for place, at in enumerate((10, 30)):
        trace = f"t{place}"
        said = {"conversation__id": "c"} if names == "the span" else {}
        chat, tool = span("chat", at, **said), span("execute_tool", at + 1, tool__name="find", tool__call__result="x")
        about = {} if said else {"gen_ai.conversation.id": "c"}
        lines.append(otlp({**tool, "traceId": trace}, {**chat, "traceId": trace}))
        lines.append(logs(details("", trace, **about)[place]))
    random.Random(3).shuffle(lines)
    (run,), _ = read("otlp", tmp_path, "\n".join(lines))
    assert run.run_id == "c"
    assert [each.kind for each in run.steps].count("tool_result") == 2


def test_a_record_of_no_trace_is_told_of(tmp_path: Path) -> None:
    lost, kept = details("s1", ""), details("s1", "", **{"gen_ai.conversation.id": "c"})
    (run,), problems = read("otlp", tmp_path, logs(*lost) + "\n" + logs(*kept))
    assert [each.found for each in problems] == ["an event of no trace"] * 2
    assert (run.run_id, told(run)) == ("c", STEPS)


def test_a_person_says_the_same_twice_in_one_moment(tmp_path: Path) -> None:
    """Equal records of one batch are two (some clocks are coarse); those of another batch are the same."""
    says = [record("gen_ai.user.message", 1, {"content": "yes"}, "s1")] * 2
    batch = logs(*says, record("gen_ai.choice", 2, {"message": {"content": "done"}}, "s1"))
    (run,), _ = read("otlp", tmp_path, f"{batch}\n{batch}")
    assert [each.text for each in run.steps] == ["yes", "yes", "done"]


def test_of_copies_of_a_span_the_finished_one_counts(tmp_path: Path) -> None:
    begun = {**span("execute_tool", 1, tool__name="find"), "endTimeUnixNano": "0"}
    ended = span("execute_tool", 1, failed=True, tool__name="find", tool__call__result="gone")
    for copies in ([begun, ended, ended], [ended, begun]):
        (run,), _ = read("otlp", tmp_path, "\n".join(otlp(each) for each in copies))
        assert told(run)[1:] == [("environment", "tool_result", "find", "gone", True)]
    other = {**ended, "traceId": "t2"}
    nameless = {**ended, "spanId": ""}
    runs, _ = read("otlp", tmp_path, otlp(ended, other, nameless, nameless))
    assert [len(each.steps) for each in runs] == [6, 2]


# --- how values are written


def test_names_and_values_in_every_way_of_the_protocol(tmp_path: Path) -> None:
    """snake_case as protocol buffers have it, enumerations by name, bytes, numbers that are no text."""
    body = {"kvlist_value": {"values": [{"key": "content", "value": {"bytes_value": "d2hlcmUgaXMgaXQ/"}}]}}
    heard = {"trace_id": "t", "span_id": "s", "time_unix_nano": 5, "body": body, "event_name": "gen_ai.user.message"}
    wanted = [{"key": "gen_ai.operation.name", "value": {"string_value": "chat"}}]
    wanted += keyed(**{"gen_ai.output.messages": PARTS[3:]})
    spans = [
        {"trace_id": "t", "span_id": "s", "start_time_unix_nano": 4, "end_time_unix_nano": 6, "attributes": wanted},
        {
            **{"trace_id": "t", "span_id": "u", "start_time_unix_nano": 5, "status": {"code": "STATUS_CODE_ERROR"}},
            "attributes": keyed(**{"gen_ai.tool.name": "find", "gen_ai.tool.call.result": "gone"}),
        },
    ]
    documents = [
        {"resource_logs": [{"scope_logs": [{"log_records": [heard]}]}]},
        {"resource_spans": [{"scope_spans": [{"spans": spans}]}]},
        {"resource_metrics": []},
    ]
    (run,), problems = read("otlp", tmp_path, "\n".join(map(json.dumps, documents)))
    assert not problems
    assert [each[1:] for each in told(run)] == [
        ("user_message", None, USER, None),
        ("message", None, ANSWER, None),
        ("tool_call", "find", "", None),
        ("tool_result", "find", "gone", True),
    ]


def test_other_signals_are_no_mistakes(tmp_path: Path) -> None:
    """A collector writes everything into one file; a file without anything of ours is told of once."""
    noise = [otlp(span("GET /", 1)), logs(record("started", 1, "hello")), json.dumps({"resourceMetrics": []})]
    found, problems = read("otlp", tmp_path, "\n".join([*noise, logs(*details()), *noise]))
    assert (len(found), problems) == (1, [])
    nothing, problems = read("otlp", tmp_path, "\n".join(noise * 3))
    assert (nothing, [each.found for each in problems]) == ([], ["nothing of generative AI"])
    _, problems = read("otlp", tmp_path, '{"spans": []}\n' + logs(*details()))
    assert [(each.line, each.found) for each in problems] == [(1, "no OTLP")]


BLOCKS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "Bedrock and Strands": [
        ("gen_ai.user.message", {"content": json.dumps([{"text": USER}])}),
        (
            "gen_ai.choice",
            {"message": json.dumps([{"toolUse": {"toolUseId": "c1", "name": "find", "input": {"id": 7}}}])},
        ),
        (
            "gen_ai.tool.message",
            {"content": json.dumps([{"toolResult": {"toolUseId": "c1", "content": [{"text": "no such parcel"}]}}])},
        ),
        ("gen_ai.choice", {"message": json.dumps([{"text": ANSWER}]), "finish_reason": "end_turn"}),
    ],
    "Google": [
        ("gen_ai.user.message", {"content": {"role": "user", "parts": [{"text": USER}]}}),
        (
            "gen_ai.choice",
            {
                "index": 0,
                "content": {"role": "model", "parts": [{"function_call": {"name": "find", "args": {"id": 7}}}]},
            },
        ),
        (
            "gen_ai.user.message",
            {"content": {"parts": [{"function_response": {"name": "find", "response": "no such parcel"}}]}},
        ),
        ("gen_ai.choice", {"index": 0, "content": {"role": "model", "parts": [{"text": ANSWER}]}}),
    ],
    "Anthropic": [
        ("gen_ai.user.message", {"content": [{"type": "text", "text": USER}]}),
        (
            "gen_ai.choice",
            {
                "message": {
                    "content": [
                        {"type": "thinking", "thinking": "hm"},
                        {"type": "tool_use", "id": "c1", "name": "find", "input": {"id": 7}},
                    ]
                }
            },
        ),
        (
            "gen_ai.user.message",
            {"content": [{"type": "tool_result", "tool_use_id": "c1", "content": "no such parcel"}]},
        ),
        ("gen_ai.choice", {"message": {"content": [{"type": "text", "text": ANSWER}]}}),
    ],
    "OpenLLMetry": [
        ("gen_ai.user.message", {"content": USER}),
        ("gen_ai.choice", {"index": 0, "message": {"content": None}, "tool_calls": PAST[1]["tool_calls"]}),
        ("gen_ai.tool.message", {"role": "tool", "id": "c1", "content": "no such parcel"}),
        ("gen_ai.choice", {"index": 0, "message": {"content": ANSWER}, "finish_reason": "stop"}),
    ],
}


@pytest.mark.parametrize("recorded", [False, True], ids=["events of spans", "log records"])
@pytest.mark.parametrize("whose", BLOCKS)
def test_what_messages_are_made_of(tmp_path: Path, whose: str, recorded: bool) -> None:
    asked, called, returned, answered = BLOCKS[whose]
    turns = [(10, [asked, called]), (30, [asked, returned, answered])]
    spans = [span("chat", at) for at, _ in turns]
    records = [record(name, at, body, f"s{at}") for at, turn in turns for name, body in turn]
    if not recorded:
        for each, (at, turn) in zip(spans, turns, strict=True):
            each["events"] = [
                {"name": name, "timeUnixNano": f"{at}", "attributes": keyed(**said)} for name, said in turn
            ]
    content = otlp(*spans) + "\n" + (logs(*records) if recorded else "")
    (run,), problems = read("otlp", tmp_path, content)
    assert not problems
    assert told(run) == STEPS
    assert (run.steps[1].args, run.steps[2].ref) == ('{"id":7}', 1)


def test_results_without_ids_come_in_the_order_of_the_calls(tmp_path: Path) -> None:
    """Google's history is told again at each turn; the same tool is called once more."""
    lines, past = [], [("gen_ai.user.message", {"content": USER})]
    for number in range(3):
        call = {"function_call": {"name": "find", "args": {"n": number}}}
        turn = [*past, ("gen_ai.choice", {"content": {"parts": [call]}})]
        lines += [record(name, 10 * number + 1, body, f"s{10 * number}") for name, body in turn]
        past.append(
            (
                "gen_ai.user.message",
                {"content": {"parts": [{"function_response": {"name": "find", "response": f"{number}"}}]}},
            )
        )
    lines += [record(name, 31, body, "s30") for name, body in [*past, ("gen_ai.choice", {"content": "done"})]]
    (run,), _ = read("otlp", tmp_path, logs(*lines))
    results = [each for each in run.steps if each.kind == "tool_result"]
    assert [(each.text, run.steps[each.ref or 0].args) for each in results] == [
        (f"{n}", f'{{"n":{n}}}') for n in range(3)
    ]


@pytest.mark.parametrize("text", ['[{"type": "flight", "id": 1}]', "[1, 2]", "[", '[{"text": 5}]', "[{}]"])
def test_json_that_is_no_blocks_is_what_was_said(tmp_path: Path, text: str) -> None:
    said = [
        record("gen_ai.user.message", 1, {"content": text}, "s1"),
        record("gen_ai.choice", 2, {"message": "ok"}, "s1"),
    ]
    (run,), _ = read("otlp", tmp_path, logs(*said))
    assert run.steps[0].text == text


def test_openinference(tmp_path: Path) -> None:
    """Spans of its own kinds and names, each field an attribute."""
    message = {
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.contents.0.message_content.type": "text",
        "llm.input_messages.0.message.contents.0.message_content.text": USER,
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "find",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"id": 7}',
        "llm.model_name": "m",
        "llm.token_count.completion": 5,
        "openinference.span.kind": "LLM",
        "session.id": "talk",
    }
    tool = {"openinference.span.kind": "TOOL", "tool.name": "find", "output.value": "no such parcel"}
    answer = {
        "llm.output_messages.0.message.content": ANSWER,
        "openinference.span.kind": "LLM",
        "session.id": "talk",
    }
    spans = [{**span("", at), "attributes": keyed(**said)} for at, said in ((10, message), (20, tool), (30, answer))]
    (run,), _ = read("otlp", tmp_path, otlp(*spans))
    assert told(run) == [*STEPS[:2], (*STEPS[2][:4], False), STEPS[3]]
    assert (run.run_id, run.identity.model, run.steps[1].args) == ("talk", "m", '{"id":7}')


def test_pydantic_ai_as_it_was(tmp_path: Path) -> None:
    """Events as an attribute with JSON, and a tool's span without an operation."""
    events = [
        {"event.name": "gen_ai.user.message", "role": "user", "content": USER, "gen_ai.message.index": 0},
        {"event.name": "gen_ai.choice", "index": 0, "message": PAST[1]},
    ]
    chat = span("chat", 10)
    chat["attributes"] += keyed(events=json.dumps(events))
    tool = {**span("", 20), "attributes": keyed(**{"gen_ai.tool.name": "find", "gen_ai.tool.call.id": "c1"})}
    tool["attributes"] += keyed(tool_arguments='{"id": 7}', tool_response="no such parcel")
    (run,), _ = read("otlp", tmp_path, otlp(chat, tool))
    assert told(run) == [*STEPS[:2], (*STEPS[2][:4], False)]
