"""From rows to places: where each box, label, line and phase stands, in pixels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from stepladder.diagram.grid import Cell, Chain, Grid, make_grid
from stepladder.diagram.picture import Picture
from stepladder.diagram.spread import spread
from stepladder.diagram.tracks import Piece, assign

MARGIN: Final = 22.0
TITLE: Final = 46.0
BETWEEN_CELLS: Final = 22.0
BETWEEN_ROWS: Final = 24.0
GROUP_TOP: Final = 32.0
GROUP_SIDE: Final = 18.0
GROUP_BOTTOM: Final = 16.0
BETWEEN_GROUPS: Final = 30.0
LANE: Final = 26.0
PORT: Final = 16.0
TRACK: Final = 9.0
FIRST_TRACK: Final = 8.0
LAST_TRACK: Final = 12.0
ROUNDS: Final = 40

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle by its corners."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Line:
    """A chain with its corners from source to target: every second piece goes straight, the others across a gap."""

    chain: Chain
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything in its place. `tops` and `bottoms` are those of the rows."""

    grid: Grid
    width: float
    height: float
    tops: list[float]
    bottoms: list[float]
    groups: list[Rect]
    lines: list[Line]


def lay_out(drawn: Picture) -> Layout:
    """Places for everything in this picture."""
    grid = make_grid(drawn)
    _place_cells(grid)
    lanes = _lanes(grid)
    _place_last_row(grid, lanes)
    shift = MARGIN - _outer(grid, lanes, -1)
    for cell in _cells(grid):
        cell.x += shift
    lanes = {name: x + shift for name, x in lanes.items()}
    ways = _ways(grid, lanes)
    tracks = [assign(_pieces(ways, row)) for row in range(len(grid.rows))]
    tops, bottoms = _heights(grid, [max(found.values(), default=-1) + 1 for found in tracks])
    groups = [_group(grid, band, tops, bottoms) for band in range(len(drawn.groups))]
    lines = [_line(chain, way, tracks, tops, bottoms) for chain, way in ways]
    return Layout(grid, _outer(grid, lanes, 1) + MARGIN, bottoms[-1] + MARGIN, tops, bottoms, groups, lines)


def _cells(grid: Grid) -> list[Cell]:
    return [cell for row in grid.rows for cell in row]


# --- across


def _place_cells(grid: Grid) -> None:
    for row in grid.rows:
        x = 0.0
        for cell in row:
            cell.x = x + cell.left
            x += cell.left + cell.right + BETWEEN_CELLS
        for cell in row:
            cell.x -= x / 2
    for _ in range(ROUNDS):
        for row in (*grid.rows, *reversed(grid.rows)):
            _settle_row(row)


def _settle_row(row: list[Cell]) -> None:
    wanted = [_wish(cell) for cell in row]
    weights = [3.0 if cell.kind == "box" else 1.0 for cell in row]
    for cell, x in zip(row, spread(wanted, weights, _gaps(row)), strict=True):
        cell.x = x


def _gaps(row: list[Cell]) -> list[float]:
    return [one.right + two.left + BETWEEN_CELLS for one, two in pairwise(row)]


def _wish(cell: Cell) -> float:
    near = [(each.x, _pull(cell, each)) for each in cell.near if not each.lane]
    total = sum(pull for _, pull in near)
    return sum(x * pull for x, pull in near) / total if total else cell.x


def _pull(one: Cell, two: Cell) -> float:
    """Lines that pass want to be straight most of all."""
    kinds = {one.kind, two.kind}
    return 6.0 if kinds == {"pass"} else 2.0 if "pass" in kinds else 1.0


def _lanes(grid: Grid) -> dict[str, float]:
    """The place of each lane: right of all phases, or left of them."""
    names = list(dict.fromkeys(cell.lane for chain in grid.chains for cell in chain.cells if cell.lane))
    inner = [cell for row in grid.rows[:-1] for cell in row]
    right = max((cell.x + cell.right for cell in inner), default=0.0) + GROUP_SIDE
    left = min((cell.x - cell.left for cell in inner), default=0.0) - GROUP_SIDE
    places: dict[str, float] = {}
    for name in names:
        if name.startswith("right"):
            right += LANE
            places[name] = right
        else:
            left -= LANE
            places[name] = left
    return places


def _place_last_row(grid: Grid, lanes: dict[str, float]) -> None:
    """The ends stand below what leads to them, lanes included."""
    row = grid.rows[-1]

    def wish(cell: Cell) -> float:
        places = [lanes[each.lane] if each.lane else each.x for each in cell.near]
        return sum(places) / len(places) if places else cell.x

    row.sort(key=wish)
    wanted = [wish(cell) for cell in row]
    for cell, x in zip(row, spread(wanted, [1.0] * len(row), _gaps(row)), strict=True):
        cell.x = x


def _outer(grid: Grid, lanes: dict[str, float], side: int) -> float:
    """The outermost place on the left (-1) or the right (1)."""
    steps = [cell for row in grid.rows[:-1] for cell in row]
    if side < 0:
        edges = [cell.x - cell.left - GROUP_SIDE for cell in steps]
        edges += [cell.x - cell.left for cell in grid.rows[-1]]
        return min([*edges, *(place - LANE / 2 for place in lanes.values())])
    edges = [cell.x + cell.right + GROUP_SIDE for cell in steps] + [cell.x + cell.right for cell in grid.rows[-1]]
    return max([*edges, *(place + LANE / 2 for place in lanes.values())])


# --- down


def _heights(grid: Grid, tracks: list[int]) -> tuple[list[float], list[float]]:
    tops: list[float] = []
    bottoms: list[float] = []
    y = TITLE
    for number, row in enumerate(grid.rows):
        first = number == 0 or grid.bands[number] != grid.bands[number - 1]
        if first:
            y += (GROUP_BOTTOM + BETWEEN_GROUPS - BETWEEN_ROWS) if number else 0
            y += GROUP_TOP if grid.bands[number] != grid.bands[-1] else 0
        high = max(cell.room for cell in row)
        tops.append(y)
        bottoms.append(y + high)
        y += high + max(BETWEEN_ROWS, FIRST_TRACK + TRACK * (tracks[number] - 1) + LAST_TRACK)
    return tops, bottoms


def _group(grid: Grid, band: int, tops: list[float], bottoms: list[float]) -> Rect:
    rows = [number for number, each in enumerate(grid.bands) if each == band]
    cells = [cell for number in rows for cell in grid.rows[number]]
    left = min(cell.x - cell.left for cell in cells) - GROUP_SIDE
    right = max(cell.x + cell.right for cell in cells) + GROUP_SIDE
    return Rect(left, tops[rows[0]] - GROUP_TOP, right, bottoms[rows[-1]] + GROUP_BOTTOM)


def middle_of(cell: Cell, tops: list[float], bottoms: list[float]) -> float:
    """The height at which a row's cells have their middle."""
    return (tops[cell.row] + bottoms[cell.row]) / 2


# --- lines

Way = list[float]
"""The places x at which a chain leaves, passes and meets its cells, from the top."""


def _ways(grid: Grid, lanes: dict[str, float]) -> list[tuple[Chain, Way]]:
    ports = _ports(grid, lanes)
    return [
        (chain, [ports.get((chain, cell), _place(cell, lanes)) for cell in chain.cells])
        for chain in grid.chains
    ]


def _place(cell: Cell, lanes: dict[str, float]) -> float:
    return lanes[cell.lane] if cell.lane else cell.x


def _pieces(ways: list[tuple[Chain, Way]], row: int) -> list[Piece]:
    """The lines between this row and the next."""
    found: list[Piece] = []
    for chain, way in ways:
        index = row - chain.cells[0].row
        if 0 <= index < len(way) - 1:
            found.append(_piece(chain, way, index))
    return found


def _piece(chain: Chain, way: Way, index: int) -> Piece:
    upper, lower = chain.cells[index], chain.cells[index + 1]
    return Piece(way[index], way[index + 1], upper.lane or lower.lane or f"{upper.key} {lower.key} {index}")


def _line(chain: Chain, way: Way, tracks: list[dict[Piece, int]], tops: list[float], bottoms: list[float]) -> Line:
    upper, lower = chain.cells[0], chain.cells[-1]
    points = [(way[0], middle_of(upper, tops, bottoms) + upper.height / 2)]
    for index, (one, two) in enumerate(pairwise(chain.cells)):
        start, stop = bottoms[one.row], tops[two.row]
        points.append((way[index], start))
        piece = _piece(chain, way, index)
        if piece.across:
            y = _track(tracks[one.row], piece, start, stop)
            points += [(way[index], y), (way[index + 1], y)]
        points.append((way[index + 1], stop))
    points.append((way[-1], middle_of(lower, tops, bottoms) - lower.height / 2))
    corners = [point for index, point in enumerate(points) if not index or point != points[index - 1]]
    return Line(chain, tuple(corners if chain.down else reversed(corners)))


def _track(tracks: dict[Piece, int], piece: Piece, start: float, stop: float) -> float:
    """The tracks share the gap; below the last there is room for the tips of arrows."""
    last = max(tracks.values())
    room = stop - start - FIRST_TRACK - LAST_TRACK
    return start + FIRST_TRACK + (tracks[piece] * room / last if last else room / 2)


def _ports(grid: Grid, lanes: dict[str, float]) -> dict[tuple[Chain, Cell], float]:
    """Where each line meets its boxes: below or above where it comes from, apart from the others but with its lane."""
    sides: dict[tuple[Cell, bool], dict[str, tuple[float, list[Chain]]]] = {}
    for number, chain in enumerate(grid.chains):
        for box, near, below in ((chain.cells[0], chain.cells[1], True), (chain.cells[-1], chain.cells[-2], False)):
            meeting = sides.setdefault((box, below), {})
            meeting.setdefault(near.lane or str(number), (_place(near, lanes), []))[1].append(chain)
    ports: dict[tuple[Chain, Cell], float] = {}
    for (box, _), meeting in sides.items():
        lines = sorted(meeting.values(), key=lambda line: line[0])
        places = _along(box, [x for x, _ in lines])
        for (_, chains), place in zip(lines, places, strict=True):
            ports.update({(chain, box): place for chain in chains})
    return ports


def _along(box: Cell, wanted: list[float]) -> list[float]:
    """Places on the side of a box, as near as possible to where the lines come from."""
    half = box.half - 14
    gap = min(PORT, 2 * half / max(len(wanted) - 1, 1))
    near = [min(max(x, box.x - half), box.x + half) for x in wanted]
    places = spread(near, [1.0] * len(near), [gap] * (len(near) - 1))
    last = len(places) - 1
    places = [min(place, box.x + half - (last - index) * gap) for index, place in enumerate(places)]
    return [max(place, box.x - half + index * gap) for index, place in enumerate(places)]
