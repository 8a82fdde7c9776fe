"""The rows of a drawing: boxes, labels and passing lines, row by row, and their order in each row.

    phase 0    labels of arrows that lead up    <- left out where empty
               steps of rank 0
               labels
               steps of rank 1 ...
    phase 1    ...
    ends

Every arrow is a chain of cells in adjoining rows: its source, its label (next to the source), passing cells, its
target. So nothing is drawn where something else stands. Lines that have no business in a phase pass it on the left, and
lines to an end run down the right side in one trunk for each end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal

from stepladder.diagram.measure import box_size, label_size
from stepladder.diagram.picture import Arrow, Picture
from stepladder.diagram.ranks import ranks

SWEEPS: Final = 12
PASSING: Final = 8.0
LOOP: Final = 30.0
START: Final = 30.0
"""Room beside a box for a loop, and for the arrow that marks the start."""

Band = int
"""A phase by number; the ends are the band after the last."""


@dataclass(slots=True, eq=False)
class Cell:
    """Something in a row: a box, a label, or a line that passes.

    It needs `left` and `right` of its middle x, and `room` in height. A box itself is twice `half` wide and `height`
    high. `lane` names the trunk that a passing line runs in, "" for none.
    """

    kind: Literal["box", "label", "pass"]
    key: str
    row: int
    band: Band
    left: float = PASSING
    right: float = PASSING
    room: float = 0.0
    half: float = 0.0
    height: float = 0.0
    lane: str = ""
    x: float = 0.0
    near: list[Cell] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Chain:
    """The way of one or more arrows between the same two boxes: cells from the upper box to the lower."""

    arrows: tuple[Arrow, ...]
    cells: list[Cell]
    down: bool


@dataclass(slots=True, eq=False)
class Grid:
    """All cells by row; `bands` says to which band each row belongs; `loops` are the arrows from a box to itself."""

    boxes: dict[str, Cell]
    chains: list[Chain]
    rows: list[list[Cell]]
    bands: list[Band]
    loops: dict[str, tuple[Arrow, ...]]


def make_grid(drawn: Picture) -> Grid:
    """The rows of this picture, in a good order."""
    bundles: dict[tuple[str, str], list[Arrow]] = {}
    for arrow in drawn.arrows:
        bundles.setdefault((arrow.source, arrow.target), []).append(arrow)
    loops = {source: tuple(arrows) for (source, target), arrows in bundles.items() if source == target}
    boxes, bands = _boxes(drawn, loops)
    ways = {pair: tuple(arrows) for pair, arrows in bundles.items() if pair[0] != pair[1]}
    bands = _without_empty_rows(boxes, bands, ways)
    chains = [_chain(boxes[source], boxes[target], arrows, bands) for (source, target), arrows in ways.items()]
    grid = Grid(boxes, chains, [[] for _ in bands], bands, loops)
    _fill(grid)
    _order(grid)
    return grid


def _boxes(drawn: Picture, loops: dict[str, tuple[Arrow, ...]]) -> tuple[dict[str, Cell], list[Band]]:
    rank = ranks(drawn)
    boxes: dict[str, Cell] = {}
    bands: list[Band] = []
    for band, group in enumerate(drawn.groups):
        first = len(bands)
        deepest = max(rank[step] for step in group.members)
        bands += [band] * (2 * deepest + 3)
        for step in group.members:
            boxes[step] = _box(drawn, step, first + 2 * rank[step] + 1, band, loops)
    for end in drawn.ends:
        boxes[end] = _box(drawn, end, len(bands), len(drawn.groups), loops)
    return boxes, [*bands, len(drawn.groups)]


def _box(drawn: Picture, name: str, row: int, band: Band, loops: dict[str, tuple[Arrow, ...]]) -> Cell:
    box = drawn.boxes[name]
    across, high = box_size(box)
    half, room = across / 2, high
    left, right = half + (START if box.start else 0), half
    if name in loops:
        wide, tall = label_size(loops[name])
        right, room = right + LOOP + wide, max(high, tall)
    return Cell("box", name, row, band, left, right, room, half, high)


def _without_empty_rows(
    boxes: dict[str, Cell], bands: list[Band], ways: dict[tuple[str, str], tuple[Arrow, ...]]
) -> list[Band]:
    """Take out the rows of labels that hold none."""
    used = {cell.row for cell in boxes.values()}
    for source, target in ways:
        here, there = boxes[source].row, boxes[target].row
        used.add(here + 1 if there > here else here - 1)
    number = {row: index for index, row in enumerate(sorted(used))}
    for cell in boxes.values():
        cell.row = number[cell.row]
    return [bands[row] for row in sorted(used)]


def _chain(source: Cell, target: Cell, arrows: tuple[Arrow, ...], bands: list[Band]) -> Chain:
    down = target.row > source.row
    step = 1 if down else -1
    across, high = label_size(arrows)
    name = f"{source.key} {target.key}"
    row = source.row + step
    cells = [source, Cell("label", name, row, bands[row], across / 2, across / 2, high)]
    passed = range(source.row + 2 * step, target.row, step)
    cells += [Cell("pass", name, row, bands[row], lane=_lane(source, target, bands, bands[row])) for row in passed]
    cells.append(target)
    for one, two in pairwise(cells):
        one.near.append(two)
        two.near.append(one)
    return Chain(arrows, cells if down else cells[::-1], down)


def _lane(source: Cell, target: Cell, bands: list[Band], band: Band) -> str:
    if target.band == bands[-1]:
        return f"right {target.key}"
    return "" if band in (source.band, target.band) else f"left {target.key}"


def _fill(grid: Grid) -> None:
    for name in grid.boxes:
        grid.rows[grid.boxes[name].row].append(grid.boxes[name])
    for chain in grid.chains:
        for cell in chain.cells:
            if cell.kind != "box" and not cell.lane:
                grid.rows[cell.row].append(cell)


# --- order


def _order(grid: Grid) -> None:
    """Reorder each row by where its neighbours stand, down and up in turn, and keep the order with fewest crossings."""
    best, fewest = _copy(grid.rows), _crossings(grid)
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        numbers = range(len(grid.rows)) if sweep % 2 == 0 else range(len(grid.rows) - 1, -1, -1)
        for number in numbers:
            _reorder(grid, number, above=sweep % 2 == 0)
        found = _crossings(grid)
        if found < fewest:
            best, fewest = _copy(grid.rows), found
    grid.rows[:] = best


def _copy(rows: list[list[Cell]]) -> list[list[Cell]]:
    return [list(row) for row in rows]


def _places(grid: Grid) -> dict[Cell, float]:
    """Each cell's place in its row from 0 to 1; lanes lie outside."""
    return {cell: (index + 1) / (len(row) + 1) for row in grid.rows for index, cell in enumerate(row)}


def _place(places: dict[Cell, float], cell: Cell) -> float:
    if cell.lane:
        return 1.5 if cell.lane.startswith("right") else -0.5
    return places[cell]


def _reorder(grid: Grid, number: int, *, above: bool) -> None:
    places = _places(grid)

    def wish(cell: Cell) -> float:
        looked_at = [each for each in cell.near if (each.row < cell.row) == above] or cell.near
        if not looked_at:
            return places[cell]
        return sum(_place(places, each) for each in looked_at) / len(looked_at)

    grid.rows[number].sort(key=wish)


def _crossings(grid: Grid) -> int:
    places = _places(grid)
    between: dict[int, list[tuple[float, float]]] = {}
    for chain in grid.chains:
        for upper, lower in pairwise(chain.cells):
            between.setdefault(upper.row, []).append((_place(places, upper), _place(places, lower)))
    return sum(
        (one[0] - two[0]) * (one[1] - two[1]) < 0
        for links in between.values()
        for index, one in enumerate(links)
        for two in links[:index]
    )
