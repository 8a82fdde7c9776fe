"""Files as tau-bench, tau2-bench and Magentic-One write them, with all that stands in them beside the messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.test_importers import read, told

# --- tau-bench

TASK = {
    "user_id": "ann_1",
    "instruction": "You are Ann and want to cancel W1.",
    "actions": [{"name": "cancel_order", "kwargs": {"order": "W1"}}],
    "outputs": [],
}
INFO = {
    "task": TASK,
    "source": "user",
    "user_cost": 0.001,
    "reward_info": {"reward": 1.0, "info": {"r_actions": 1.0, "gt_data_hash": "ab"}, "actions": []},
}
CALLING: list[dict[str, Any]] = [
    {"role": "system", "content": "# Policy"},
    {"role": "user", "content": "Cancel my order."},
    {
        "content": None,
        "role": "assistant",
        "tool_calls": [
            {"function": {"arguments": '{"order": "W1"}', "name": "cancel_order"}, "id": "call_1", "type": "function"}
        ],
        "function_call": None,
        "audio": None,
    },
    {"role": "tool", "tool_call_id": "call_1", "name": "cancel_order", "content": "Error: order not found"},
    {"role": "assistant", "content": "I cannot find it.", "tool_calls": None, "function_call": None},
    {"role": "user", "content": "###STOP###"},
]
IN_WORDS: list[dict[str, Any]] = [
    {"role": "system", "content": "# Policy\n#Available tools\n[]"},
    {"role": "user", "content": "Cancel my order."},
    {
        "role": "assistant",
        "content": 'Thought:\nI look.\nAction:\n{"name": "cancel_order", "arguments": {"order": "W1"}}',
    },
    {"role": "user", "content": "API output: Error: order not found"},
    {
        "role": "assistant",
        "content": 'Action:\n{"name": "respond", "arguments": {"content": "I cannot find it."}}',
    },
    {"role": "user", "content": "###STOP###"},
]
STEPS = [
    ("user", "user_message", None, "Cancel my order.", None),
    ("assistant", "tool_call", "cancel_order", "", None),
    ("environment", "tool_result", "cancel_order", "Error: order not found", True),
    ("assistant", "message", None, "I cannot find it.", None),
    ("user", "user_message", None, "###STOP###", None),
]


@pytest.mark.parametrize(("messages", "thought"), [(CALLING, ""), (IN_WORDS, "Thought:\nI look.")])
def test_tau_bench_results(tmp_path: Path, messages: list[dict[str, Any]], thought: str) -> None:
    """A result file: a list of runs, among them one that broke off with an error, and no messages."""
    crashed = {"task_id": 1, "reward": 0.0, "info": {"error": "429", "traceback": "..."}, "traj": [], "trial": 0}
    runs = [
        {"task_id": 0, "reward": 1.0, "info": INFO, "traj": messages, "trial": 0},
        crashed,
        {"task_id": 0, "reward": 0.0, "info": INFO, "traj": messages, "trial": 1},
    ]
    found, problems = read("chat", tmp_path, json.dumps(runs, indent=2))
    assert [(each.line, each.found) for each in problems] == [(2, "no messages")]
    assert [(each.after.outcome.success, each.identity.trial) for each in found] == [(True, 0), (False, 1)]
    assert found[0].split_key == found[1].split_key
    steps = list(STEPS)
    steps[1] = (*steps[1][:3], thought, None)
    for each in found:
        assert told(each) == steps
        assert (each.steps[1].args, each.steps[2].ref) == ('{"order":"W1"}', 1)


@pytest.mark.parametrize("said", ["no action", "Action: {oops", "Action: []", 'Action: {"name": 3.5}', "Action:"])
def test_what_is_no_action_is_a_message(tmp_path: Path, said: str) -> None:
    messages = [*IN_WORDS[1:4], {"role": "assistant", "content": said}]
    (found,), _ = read("chat", tmp_path, json.dumps({"messages": messages}))
    assert told(found)[-1] == ("assistant", "message", None, said, None)


def test_tau2_bench_results(tmp_path: Path) -> None:
    """One document: what all runs share, the tasks, and the simulations, in which users have tools of their own."""
    usage = {"completion_tokens": 7, "prompt_tokens": 900}
    messages = [
        {"role": "assistant", "content": "Hi!", "tool_calls": None, "turn_idx": 0, "timestamp": "2025-06-01T10:00:00"},
        {"role": "user", "content": "No signal.", "tool_calls": None, "turn_idx": 1, "cost": 0.0001, "usage": usage},
        {
            "role": "user",
            "content": None,
            "tool_calls": [{"id": "u1", "name": "toggle_airplane_mode", "arguments": {}, "requestor": "user"}],
        },
        {"id": "u1", "role": "tool", "content": "ON", "requestor": "user", "error": False},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a1", "name": "get_line", "arguments": {"id": 3}, "requestor": "assistant"}],
            "cost": 0.02,
            "usage": usage,
            "raw_data": {},
        },
        {"id": "a1", "role": "tool", "content": "Line not found", "requestor": "assistant", "error": True},
    ]
    simulation = {
        "id": "6f0c",
        "task_id": "[mobile_data_issue]airplane_mode_on",
        "start_time": "2025-06-01T10:00:00",
        "duration": 12.5,
        "termination_reason": "max_steps",
        "agent_cost": 0.02,
        "reward_info": {"reward": 0.0, "db_check": None, "reward_basis": ["ENV_ASSERTION"]},
        "messages": messages,
        "trial": 3,
        "seed": 7,
    }
    document = {
        "timestamp": "2025-06-01T09:00:00",
        "info": {
            "git_commit": "abc",
            "num_trials": 4,
            "user_info": {"implementation": "user_simulator", "llm": "gpt-4.1"},
            "agent_info": {"implementation": "llm_agent", "llm": "o4-mini"},
            "environment_info": {"domain_name": "telecom", "policy": "# Policy"},
        },
        "tasks": [{"id": "[mobile_data_issue]airplane_mode_on"}],
        "simulations": [simulation],
    }
    (found,), problems = read("chat", tmp_path, json.dumps(document, indent=2))
    assert not problems
    assert [(each.agent, each.kind, each.tool, each.ref, each.is_error) for each in found.steps] == [
        ("assistant", "message", None, None, None),
        ("user", "user_message", None, None, None),
        ("user", "tool_call", "toggle_airplane_mode", None, None),
        ("environment", "tool_result", "toggle_airplane_mode", 2, False),
        ("assistant", "tool_call", "get_line", None, None),
        ("environment", "tool_result", "get_line", 4, True),
    ]
    assert (found.domain, found.run_id, found.identity.model, found.identity.user_model) == (
        "telecom",
        "6f0c",
        "o4-mini",
        "gpt-4.1",
    )
    assert (found.after.outcome.success, found.after.outcome.termination) == (False, "max_steps")
    assert (found.steps[1].prompt_tokens, found.steps[1].tokens) == (900, 7)


# --- Magentic-One


def ledger(satisfied: bool, loop: bool) -> str:
    """A ledger as the orchestrator's model writes it."""
    flags = {"is_request_satisfied": satisfied, "is_in_loop": loop, "is_progress_being_made": not loop}
    said = {name: {"reason": "so it {seems}", "answer": answer} for name, answer in flags.items()}
    return "Updated Ledger:\n" + json.dumps({**said, "next_speaker": {"reason": "r", "answer": "WebSurfer"}}, indent=2)


EVENTS = [
    ("UserProxy", "Find the price.", "OrchestrationEvent"),
    ("Orchestrator (thought)", "Initial plan:\n\nWe look it up.", "OrchestrationEvent"),
    ("Orchestrator (update ledger)", ledger(False, True), "OrchestrationEvent"),
    ("Orchestrator (-> WebSurfer)", "Please look.", "OrchestrationEvent"),
    ("WebSurfer", "I see a page.", "AgentEvent"),
    ("Orchestrator (final answer)", "It is 3.", "OrchestrationEvent"),
    ("Orchestrator", "Request satisfied.", "OrchestrationEvent"),
]
LOG = [
    {"timestamp": f"2025-02-17T10:37:{second:02}.5", "source": source, "message": message, "type": kind}
    for second, (source, message, kind) in enumerate(EVENTS)
]
NOISE = [
    {"timestamp": "2025-02-17T10:37:01.1", "prompt_tokens": 10, "completion_tokens": 3, "type": "LLMCallEvent"},
    {
        "timestamp": "2025-02-17T10:37:04.1",
        "source": "WebSurfer",
        "url": "x",
        "message": "click",
        "type": "WebSurferEvent",
    },
]
AS_STEPS = [
    ("user", "user_message", None, "2025-02-17T10:37:00.5"),
    ("Orchestrator", "message", None, "2025-02-17T10:37:01.5"),
    ("Orchestrator", "message", None, "2025-02-17T10:37:02.5"),
    ("Orchestrator", "handoff", "WebSurfer", "2025-02-17T10:37:03.5"),
    ("WebSurfer", "tool_result", "WebSurfer", "2025-02-17T10:37:04.5"),
    ("Orchestrator", "message", None, "2025-02-17T10:37:05.5"),
    ("Orchestrator", "message", None, "2025-02-17T10:37:06.5"),
]


@pytest.mark.parametrize("listed", [False, True])
def test_a_log_of_magentic_one(tmp_path: Path, listed: bool) -> None:
    """Events a line, or as one list; calls of models and clicks stand between them."""
    events = [*LOG[:2], NOISE[0], *LOG[2:5], NOISE[1], *LOG[5:]]
    (tmp_path / "level_1" / "0").mkdir(parents=True)
    content = json.dumps(events, indent=1) if listed else "\n".join(map(json.dumps, events))
    (found,), problems = read("magentic-one", tmp_path / "level_1" / "0", content, "log.jsonl")
    assert not problems
    assert [(each.agent, each.kind, each.tool, each.ts) for each in found.steps] == AS_STEPS
    assert found.steps[2].signals == {
        "is_request_satisfied": False,
        "is_in_loop": True,
        "is_progress_being_made": False,
    }
    assert found.steps[4].ref == 3
    assert (found.run_id, found.split_key) == ("level_1/0/log.jsonl", "level_1"), "repetitions are of one task"
    assert found.after.failed is None


def test_two_logs_are_two_runs(tmp_path: Path) -> None:
    from stepladder.scenarios.importers import FORMATS

    files = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        files.append(tmp_path / name / "log.jsonl")
        files[-1].write_text("\n".join(map(json.dumps, LOG)))
    problems: list[Any] = []
    found = list(FORMATS["magentic-one"](files, problems.append, lambda _: None))
    assert [len(each.steps) for each in found] == [7, 7]
    assert len({each.run_id for each in found}) == 2
    assert not problems


def autogen(source: str, content: Any, kind: str = "TextMessage") -> dict[str, Any]:
    return {
        **{"id": "x", "source": source, "models_usage": None, "metadata": {}, "created_at": "2025-06-01T10:00:00Z"},
        **{"content": content, "type": kind},
    }


PLAIN_LEDGER = ledger(False, True).removeprefix("Updated Ledger:\n")
TEAM = [
    autogen("user", "find it"),
    autogen("MagenticOneOrchestrator", PLAIN_LEDGER),
    autogen("WebSurfer", ["I see", {"url": "x"}], "MultiModalMessage"),
    autogen("Coder", [{"id": "c1", "name": "run", "arguments": '{"n": 1}'}], "ToolCallRequestEvent"),
    autogen("Coder", [{"content": "gone", "name": "run", "call_id": "c1", "is_error": True}], "ToolCallExecutionEvent"),
    autogen("Coder", "hm", "ThoughtEvent"),
    autogen("MagenticOneOrchestrator", "It is 3.", "StopMessage"),
]
THREAD = {"MagenticOneOrchestrator": {"message_thread": TEAM, "n_rounds": 2}, "Coder": {"message_thread": []}}
CORE = {"payload": "{}", "sender": None, "kind": "MessageKind.PUBLISH", "delivery_stage": "DeliveryStage.SEND"}


@pytest.mark.parametrize(
    "documents",
    [
        [{"messages": TEAM, "stop_reason": "done"}],
        [{"type": "TeamState", "version": "1.0.0", "agent_states": THREAD}],
        [{"messages": [{"run_id": "1", "config": each} for each in TEAM]}],
        [{"type": "Message", **CORE}, *TEAM[:3], {"type": "LLMCall", "messages": [], "response": {}}, *TEAM[3:]],
    ],
    ids=["a result", "a kept state", "Magentic-UI", "events"],
)
def test_magentic_one_of_autogen(tmp_path: Path, documents: list[dict[str, Any]]) -> None:
    """It does not say whom it asks; ledgers have no heading."""
    (found,), problems = read("magentic-one", tmp_path, "\n".join(map(json.dumps, documents)), "log.jsonl")
    assert not problems
    assert [(each.agent, each.kind, each.tool, each.is_error) for each in found.steps] == [
        ("user", "user_message", None, None),
        ("MagenticOneOrchestrator", "message", None, None),
        ("WebSurfer", "message", None, None),
        ("Coder", "tool_call", "run", None),
        ("environment", "tool_result", "run", True),
        ("MagenticOneOrchestrator", "message", None, None),
    ]
    assert found.steps[1].signals["is_in_loop"] is True
    assert (found.steps[3].args, found.steps[4].ref) == ('{"n":1}', 3)
    assert {each.ts for each in found.steps} == {"2025-06-01T10:00:00Z"}
