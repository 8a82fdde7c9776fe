"""The drawing: well-formed, complete, the same twice, and nothing on top of anything else."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

import pytest
from hypothesis import given

from stepladder.diagram import Path, svg
from stepladder.diagram.grid import Cell
from stepladder.diagram.layout import Layout, Rect, lay_out, middle_of
from stepladder.diagram.picture import picture
from stepladder.diagram.ranks import NoNetworkx
from stepladder.diagram.svg import escape
from stepladder.workflow.definition import Definition
from tests.diagram.workflows import TWO_PHASES, definitions
from tests.example_workflows import PAYMENT, REVIEW, TEXT_TO_SQL, TRIAGE, workflow

SPACE = "{http://www.w3.org/2000/svg}"
TAGS = {"svg", "title", "desc", "style", "defs", "marker", "path", "rect", "text", "tspan", "g", "polygon", "circle"}
WORKFLOWS = {
    "text_to_sql": TEXT_TO_SQL,
    "two_phases": TWO_PHASES,
    "payment": PAYMENT,
    "review": REVIEW,
    "triage": TRIAGE,
}


def texts(drawn: str, kind: str) -> list[str]:
    root = ET.fromstring(drawn)
    return ["".join(each.itertext()) for each in root.iter(f"{SPACE}text") if kind in each.get("class", "").split()]


@pytest.mark.parametrize("text", WORKFLOWS.values(), ids=WORKFLOWS)
def test_everything_occurs(text: str) -> None:
    definition = workflow(text)
    drawn = svg(definition)
    assert sorted(texts(drawn, "name")) == sorted([*definition.steps, *definition.ends])
    moves = [move.option.action for moves in definition.moves.values() for move in moves]
    assert sorted(texts(drawn, "action")) == sorted(moves)
    root = ET.fromstring(drawn)
    assert root.find(f"{SPACE}title").text == f"Workflow {definition.name}, version {definition.version}"
    assert root.find(f"{SPACE}desc").text
    assert root.get("aria-labelledby") == "title desc"
    assert len(root.findall(f"{SPACE}g[@class='phase']")) == len(definition.phases)


@pytest.mark.parametrize("text", WORKFLOWS.values(), ids=WORKFLOWS)
def test_it_stands_alone(text: str) -> None:
    drawn = svg(workflow(text))
    assert "prefers-color-scheme:dark" in drawn
    drawn = drawn.replace("http://www.w3.org/2000/svg", "")
    outside = ("http", "href", "@import", "<script", "@font-face", "<image", "<foreignObject")
    assert not any(word in drawn for word in outside)


def test_the_same_bytes_twice() -> None:
    path = Path({"profiling": 1}, {}, "drafting")
    assert svg(workflow(TWO_PHASES), path) == svg(workflow(TWO_PHASES), path)


def test_a_path_is_marked() -> None:
    moves = {("new_query", "CALL_PLANNER", "planning"): 1, ("planning", "CALL_EXECUTOR", "executing"): 2}
    drawn = svg(workflow(TEXT_TO_SQL), Path({"new_query": 1, "planning": 3, "executing": 2}, moves, "executing"))
    root = ET.fromstring(drawn)
    assert [each.get("class") for each in root if "current" in each.get("class", "")] == ["box agent visited current"]
    assert texts(drawn, "count") == ["×3", "×2"]
    assert "CALL_EXECUTOR ×2" in texts(drawn, "taken")
    assert drawn.count('class="way taken"') == 2
    assert 'class="way taken"' not in svg(workflow(TEXT_TO_SQL))


def test_text_is_escaped() -> None:
    assert escape('<a href="x">&\x00\ufffe') == "&lt;a href=&quot;x&quot;&gt;&amp;��"


def test_without_networkx_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(NoNetworkx, match=r"pip install 'stepladder\[diagram\]'"):
        svg(workflow(TEXT_TO_SQL))


# --- where things stand


def cells(laid: Layout) -> dict[Cell, Rect]:
    """The room of every box (loops and the mark of the start included) and every label."""
    return {
        cell: Rect(cell.x - cell.left, middle - cell.room / 2, cell.x + cell.right, middle + cell.room / 2)
        for row in laid.grid.rows
        for cell in row
        if (middle := middle_of(cell, laid.tops, laid.bottoms)) and cell.kind != "pass"
    }


def overlap(one: Rect, two: Rect) -> bool:
    across = min(one.right, two.right) - max(one.left, two.left)
    down = min(one.bottom, two.bottom) - max(one.top, two.top)
    return across > 0.5 and down > 0.5


def assert_clear(definition: Definition) -> None:
    """Boxes, labels and phases stand apart; lines cross none but their own; everything is on the page."""
    laid = lay_out(picture(definition))
    placed = cells(laid)
    for one, two in (*combinations(placed.values(), 2), *combinations(laid.groups, 2)):
        assert not overlap(one, two)
    for rect in (*placed.values(), *laid.groups):
        assert 0 <= rect.left <= rect.right <= laid.width
        assert 0 <= rect.top <= rect.bottom <= laid.height
    for line in laid.lines:
        others = [rect for cell, rect in placed.items() if cell not in line.chain.cells]
        for (x, y), (to_x, to_y) in pairwise(line.points):
            way = Rect(min(x, to_x) - 0.6, min(y, to_y) - 0.6, max(x, to_x) + 0.6, max(y, to_y) + 0.6)
            assert not any(overlap(way, other) for other in others)


@pytest.mark.parametrize("text", WORKFLOWS.values(), ids=WORKFLOWS)
def test_nothing_stands_on_anything_else(text: str) -> None:
    assert_clear(workflow(text))


@given(definitions())
def test_any_definition_is_drawn_clearly(definition: Definition) -> None:
    drawn = svg(definition, Path(dict.fromkeys(definition.steps, 3), {}, definition.start))
    root = ET.fromstring(drawn)
    assert sorted(texts(drawn, "name")) == sorted([*definition.steps, *definition.ends])
    assert {each.tag.removeprefix(SPACE) for each in root.iter()} <= TAGS
    assert drawn == svg(definition, Path(dict.fromkeys(definition.steps, 3), {}, definition.start))
    assert_clear(definition)
