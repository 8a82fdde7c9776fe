"""Mermaid: everything occurs, nothing breaks out of its quotes, and a path is marked."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from stepladder.diagram import Path, mermaid
from stepladder.diagram.mermaid import escaped
from stepladder.workflow.definition import Definition
from tests.diagram.workflows import TWO_PHASES, definitions
from tests.example_workflows import TEXT_TO_SQL, workflow

LINES = [
    r"flowchart TD",
    r"  acc(Title|Descr): [\w ,.-]+",
    r'  subgraph phase_\d+\["[^"]*"\]',
    r"  end",
    r'    step_\w+[(\[{/]+"[^"]*"[)\]}/]+:::\w+',
    r'    action_\d+\("[^"]*"\):::action',
    r'  end_\w+[(\[]+"[^"]*"[)\]]+:::\w+',
    r"  step_\w+ --- action_\d+ --> (step|end)_\w+",
    r"  classDef \w+ [\w#:,-]+",
    r"  class [\w,]+ (visited|current)",
    r"  linkStyle [\d,]+ stroke:#d9480f,stroke-width:3px",
]
LINE = re.compile("|".join(LINES), re.ASCII)


def test_the_printed_workflow() -> None:
    text = mermaid(workflow(TEXT_TO_SQL))
    assert '    step_planning["planning<br/>planner"]:::agent\n' in text
    assert '    step_new_query("#9654; new_query"):::plain\n' in text
    assert '    step_clarifying[/"clarifying<br/>asks a person"/]:::person\n' in text
    assert '  end_done(["done"]):::success\n' in text
    assert '  end_given_up[["given_up"]]:::failure\n' in text
    assert '("RETRY_PLANNING<br/><small>taken.RETRY_PLANNING #60; 2</small>"):::action' in text
    assert re.search(r"step_executing --- action_\d+ --> step_planning\n", text)
    assert "linkStyle" not in text


def test_phases_are_subgraphs_with_their_criteria() -> None:
    text = mermaid(workflow(TWO_PHASES))
    assert '  subgraph phase_0["planning<br/>until score.alignment_score #62;= 9.0"]\n' in text
    assert '  subgraph phase_1["building"]\n' in text


def test_a_path_is_marked() -> None:
    path = Path({"new_query": 1, "planning": 2}, {("new_query", "CALL_PLANNER", "planning"): 1}, "planning")
    text = mermaid(workflow(TEXT_TO_SQL), path)
    assert "planning #215;2<br/>planner" in text
    assert "  class step_new_query visited\n" in text
    assert "  class step_planning current\n" in text
    assert "  linkStyle 0,1 stroke" in text


@pytest.mark.parametrize(
    ("text", "found"),
    [('a"b', "a#34;b"), ("<b>", "#60;b#62;"), ("a\nb", "a#10;b"), ("#1;", "#35;1#59;"), ("ü`", "#252;#96;")],
)
def test_labels_are_escaped(text: str, found: str) -> None:
    assert escaped(text) == found


@given(definitions())
def test_any_definition_gives_well_formed_text(definition: Definition) -> None:
    text = mermaid(definition, Path(dict.fromkeys(definition.steps, 2), {}, definition.start))
    assert text == mermaid(definition, Path(dict.fromkeys(definition.steps, 2), {}, definition.start))
    assert text.isascii()
    for line in text.splitlines():
        assert LINE.fullmatch(line), line
    opened = len(re.findall(r"^  subgraph ", text, re.MULTILINE))
    assert opened == len(re.findall(r"^  end$", text, re.MULTILINE)) == len(definition.phases)
    drawn = sum(len(moves) for moves in definition.moves.values())
    assert len(re.findall(r" --- action_\d+ --> ", text)) == drawn
    for name in (*definition.steps, *definition.ends):
        assert re.search(rf"(step|end)_{name}[(\[{{]", text)
