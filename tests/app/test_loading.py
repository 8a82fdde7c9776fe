# ruff: noqa: E501 - a row of a table is a line
"""Workflow files, the prompts and agents beside them, and what a journal keeps of them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Final

import pytest

from stepladder import DefinitionError, InputError, Workflow, signal
from stepladder.app.loading import PROMPT_SUFFIXES, load_agents, load_providers, read_prompts, restored
from tests.drivers.desk import LADDER, ONE, TALK
from tests.example_workflows import PAYMENT, TEXT_TO_SQL, source


def written(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


# --- workflow files


def test_a_file_and_its_lines(tmp_path: Path) -> None:
    file = written(tmp_path, {"w.yaml": ONE}) / "w.yaml"
    workflow = Workflow.load(file)
    assert (workflow.name, workflow.prompt_files, workflow.signals) == ("one", (), ())
    assert workflow.lines["workflow",] == 2
    assert workflow.hash == Workflow.parse(ONE).hash == Workflow.define(source(ONE)).hash


@pytest.mark.parametrize(
    ("content", "found", "expected"),
    [
        (None, "no such file or directory", "a file that can be read"),
        (b"workflow: caf\xe9\n", "bytes that are not UTF-8 at 13", "a text file in UTF-8"),
        (b"\xff\xfew\x00", "bytes that are not UTF-8 at 0", "a text file in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, found: str, expected: str) -> None:
    if content is not None:
        written(tmp_path, {"w.yaml": content})
    with pytest.raises(DefinitionError) as caught:
        Workflow.load(tmp_path / "w.yaml")
    (problem,) = caught.value.problems
    assert (problem.found, problem.expected, problem.file) == (found, expected, str(tmp_path / "w.yaml"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="directory"):
        Workflow.load(tmp_path)


def test_a_problem_names_file_and_line(tmp_path: Path) -> None:
    written(tmp_path, {"w.yaml": ONE.replace("start: working", "start: wroking")})
    with pytest.raises(DefinitionError) as caught:
        Workflow.load(tmp_path / "w.yaml")
    assert str(caught.value).startswith(f"{tmp_path / 'w.yaml'}:4: start: found step 'wroking'")
    with pytest.raises(DefinitionError, match=r"^given\.yaml:4: start"):
        Workflow.parse(ONE.replace("start: working", "start: wroking"), file="given.yaml")


@pytest.mark.parametrize("of", ["a list", "a generator"])
@pytest.mark.parametrize("how", ["load", "parse", "define"])
def test_signals_are_kept_however_they_come(tmp_path: Path, how: str, of: str) -> None:
    @signal("loudness", start=0)
    def loudness(memory: int, seen: Any) -> int:
        return memory + 1

    text = ONE.replace("{classifier: {}}", "{classifier: {complex: {loud: [loudness > 3]}}}")
    given = [loudness] if of == "a list" else (each for each in [loudness])
    file = written(tmp_path, {"w.yaml": text}) / "w.yaml"
    make = {"load": Workflow.load, "parse": Workflow.parse, "define": Workflow.define}[how]
    workflow = make({"load": file, "parse": text, "define": source(text)}[how], signals=given)
    assert workflow.signals == (loudness,)
    assert restored(workflow.stored(), workflow.signals).machine.policy.hash == workflow.machine.policy.hash


# --- prompts

PROMPT: Final = "Say {{ agent }}."


def test_prompts_are_named_by_their_files(tmp_path: Path) -> None:
    names = {f"p{number}@1": suffix for number, suffix in enumerate(PROMPT_SUFFIXES)}
    written(tmp_path, {f"{name}{suffix}": f"by {suffix}" for name, suffix in names.items()})
    written(tmp_path, {"notes.rst": "no prompt", "old@1.md~": "no prompt", "more@1.md/inside.md": "a folder"})
    assert read_prompts(tmp_path) == {name: f"by {suffix}" for name, suffix in names.items()}


def test_no_prompts(tmp_path: Path) -> None:
    assert read_prompts(tmp_path / "prompts") == {}
    written(tmp_path, {"prompts": "a file"})
    assert read_prompts(tmp_path / "prompts") == {}


def test_hidden_files_are_no_prompts(tmp_path: Path) -> None:
    written(tmp_path, {".md": "", "._p@1.md": b"\x00\x05\x16\x07\xff", ".p@1.md.swp": b"\xff", "p@1.md": PROMPT})
    assert read_prompts(tmp_path) == {"p@1": PROMPT}


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(sorted(PROMPT_SUFFIXES), 2)))
def test_two_files_for_one_prompt_are_refused(tmp_path: Path, first: str, second: str) -> None:
    written(tmp_path, {f"p@1{first}": "one", f"p@1{second}": "two"})
    with pytest.raises(DefinitionError) as caught:
        read_prompts(tmp_path)
    assert "p@1 a second time, beside p@1" in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff", "größer".encode("latin-1")])
def test_a_prompt_that_is_not_utf8_names_its_file(tmp_path: Path, content: bytes) -> None:
    written(tmp_path, {"w.yaml": ONE, "prompts/p@1.md": content})
    with pytest.raises(DefinitionError) as caught:
        Workflow.load(tmp_path / "w.yaml")
    (problem,) = caught.value.problems
    assert problem.file == str(tmp_path / "prompts" / "p@1.md")
    assert problem.expected == "a text file in UTF-8"


def test_prompts_beside_the_file_are_part_of_the_policy(tmp_path: Path) -> None:
    text = ONE.replace("as: made,", "as: made, prompt: p@1,")
    file = written(tmp_path, {"w.yaml": text, "prompts/p@1.md": PROMPT}) / "w.yaml"
    before = Workflow.load(file)
    assert (before.prompt_files, before.definition.prompts["p@1"]) == (("p@1",), PROMPT)
    written(tmp_path, {"prompts/p@1.md": "Say it louder."})
    after = Workflow.load(file)
    assert before.machine.policy.hash != after.machine.policy.hash
    assert before.hash == after.hash


# --- what a journal keeps


@pytest.mark.parametrize(
    "text", [ONE, TALK, LADDER, PAYMENT, TEXT_TO_SQL], ids=["one", "talk", "ladder", "payment", "sql"]
)
def test_what_is_stored_is_the_same_workflow(text: str) -> None:
    prompts = {"plan_query@1": PROMPT, "supervisor@1": PROMPT} if text is TEXT_TO_SQL else {}
    workflow = Workflow.define(source(text), prompts=prompts)
    again = restored(workflow.stored())
    assert (again.hash, again.machine.policy.hash) == (workflow.hash, workflow.machine.policy.hash)
    assert again.stored() == workflow.stored()


def test_stored_with_its_prompts(tmp_path: Path) -> None:
    text = ONE.replace("as: made,", "as: made, prompt: p@1,")
    written(tmp_path, {"w.yaml": text, "prompts/p@1.md": PROMPT, "prompts/unused@1.md": "größer"})
    workflow = Workflow.load(tmp_path / "w.yaml")
    again = restored(workflow.stored())
    assert again.definition.prompts == workflow.definition.prompts
    assert (again.hash, again.machine.policy.hash) == (workflow.hash, workflow.machine.policy.hash)


# --- agents

OFFERS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "a function": ("def agents():\n    return {'writer': print}", {}),
    "a function with an option": ("def agents(shop='a'):\n    assert shop == 'b'\n    return {'writer': print}", {"shop": "b"}),
    "a function with any option": ("def agents(**given):\n    assert given\n    return {'writer': print}", {"x": "y"}),
    "a mapping": ("AGENTS = {'writer': print}", {}),
    "a function before a mapping": ("AGENTS = {}\ndef agents():\n    return {'writer': print}", {}),
}  # fmt: skip


@pytest.mark.parametrize("case", OFFERS)
def test_what_a_file_offers(tmp_path: Path, case: str) -> None:
    text, options = OFFERS[case]
    file = written(tmp_path, {"agents.py": text}) / "agents.py"
    assert load_agents(file, options) == ({"writer": print}, ())
    assert load_agents(str(file), options)[0] == {"writer": print}


def test_no_agents_are_agents(tmp_path: Path) -> None:
    assert load_agents(written(tmp_path, {"agents.py": "AGENTS = {}"}) / "agents.py") == ({}, ())


SIGNAL: Final = """
from stepladder import signal

@signal("loudness", start=0)
def loudness(memory, seen):
    return memory + 1

AGENTS = {}
"""


def test_signals(tmp_path: Path) -> None:
    (found,) = load_agents(written(tmp_path, {"agents.py": SIGNAL + "SIGNALS = [loudness]"}) / "agents.py")[1]
    assert found.name == "loudness"


def test_providers(tmp_path: Path) -> None:
    text = "from stepladder import ScriptedProvider\nPROVIDERS = {'own': ScriptedProvider([])}"
    file = written(tmp_path, {"agents.py": text, "none.py": "AGENTS = {}"}) / "agents.py"
    assert list(load_providers(file)) == ["own"]
    assert load_providers(file.with_name("none.py")) == {}


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        ("PROVIDERS = ['openai']", "PROVIDERS", "a list"),
        ("PROVIDERS = {'own': print}", "PROVIDERS.own", "a builtin_function_or_method"),
        ("raise RuntimeError('no licence')", "", "RuntimeError: no licence (line 1)"),
    ],
)
def test_providers_that_are_none(tmp_path: Path, text: str, where: str, found: str) -> None:
    with pytest.raises(InputError) as caught:
        load_providers(written(tmp_path, {"agents.py": text}) / "agents.py")
    assert (caught.value.where, caught.value.found) == (where, found)


def test_neighbours_are_imported_relatively(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "agents.py": "from .words import WORDS\nfrom .deep.inner import told\nAGENTS = {WORDS[0]: told}",
        "words.py": "WORDS = ['writer']",
        "deep/__init__.py": "",
        "deep/inner.py": "from ..words import WORDS\n\ndef told():\n    return WORDS",
    }
    agents, _ = load_agents(written(tmp_path, files) / "agents.py")
    assert agents["writer"]() == ["writer"]


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for each in ("a", "b"):
        files = {"agents.py": "from .words import WORD\nAGENTS = {WORD: print}", "words.py": f"WORD = {each!r}"}
        assert load_agents(written(tmp_path / each, files) / "agents.py")[0] == {each: print}  # type: ignore[arg-type]


def test_a_file_is_run_once(tmp_path: Path) -> None:
    file = written(tmp_path, {"agents.py": "AGENTS = {'writer': object()}"}) / "agents.py"
    assert load_agents(file)[0]["writer"] is load_agents(file)[0]["writer"]


REFUSED: Final[dict[str, tuple[str, dict[str, str], str, str]]] = {
    "nothing": ("x = 1", {}, "no `agents` function and no AGENTS", "one of them, giving agents by name"),
    "no mapping": ("AGENTS = [print]", {}, "a list", "a mapping of agents by name"),
    "a function that gives none": ("def agents():\n    pass", {}, "a NoneType", "a mapping of agents by name"),
    "a wrong option": ("def agents(shop=''):\n    return {}", {"shoop": "a"}, "'shoop'", "options that its `agents` function takes"),
    "an option too many": ("def agents():\n    return {}", {"shop": "a"}, "'shop'", "options that its `agents` function takes"),
    "an option missing": ("def agents(shop):\n    return {}", {}, "'shop'", "options that its `agents` function takes"),
    "an option for a mapping": ("AGENTS = {}", {"shop": "a"}, "options shop", "an `agents` function that takes them"),
    "signals that are none": ("AGENTS = {}\nSIGNALS = ['loud']", {}, "a str", "a list of signals"),
    "signals that are no list": ("AGENTS = {}\nSIGNALS = 5", {}, "a int", "a list of signals"),
    "raises at import": ("x = 1\nraise RuntimeError('no licence')", {}, "RuntimeError: no licence (line 2)", "a file that loads without an error"),
    "leaves at import": ("import sys\nsys.exit('no')", {}, "SystemExit: no (line 2)", "a file that loads without an error"),
    "raises in the function": ("def agents():\n    raise KeyError('shop')", {}, "KeyError: 'shop' (line 2)", "a file that loads without an error"),
    "a mistake in the function": ("def agents():\n    return len(5)", {}, "TypeError: object of type 'int' has no len() (line 2)", "a file that loads without an error"),
    "not Python": ("def agents(:", {}, "SyntaxError", "a file that loads without an error"),
    "a neighbour that is not there": ("from .nobody import X", {}, "ModuleNotFoundError", "a file that loads without an error"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_used(tmp_path: Path, case: str) -> None:
    text, options, found, expected = REFUSED[case]
    file = written(tmp_path, {"agents.py": text}) / "agents.py"
    for _ in range(2):  # what failed is not kept
        with pytest.raises(InputError) as caught:
            load_agents(file, options)
        assert caught.value.what == str(file)
        assert found in caught.value.found
        assert caught.value.expected == expected


def test_what_was_mended_is_loaded_anew(tmp_path: Path) -> None:
    file = written(tmp_path, {"agents.py": "raise RuntimeError('no licence')"}) / "agents.py"
    with pytest.raises(InputError):
        load_agents(file)
    written(tmp_path, {"agents.py": "AGENTS = {'the writer': print}"})
    assert load_agents(file)[0] == {"the writer": print}


@pytest.mark.parametrize(
    ("name", "found"), [("nobody.py", "no such file"), (".", "no such file"), ("agents.txt", "a .txt file")]
)
def test_no_python_file(tmp_path: Path, name: str, found: str) -> None:
    written(tmp_path, {"agents.txt": "AGENTS = {}"})
    with pytest.raises(InputError) as caught:
        load_agents(tmp_path / name)
    assert caught.value.found == found
