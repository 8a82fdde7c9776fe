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
GROUP_TOP: Final = 40.0
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
Zone = tuple[float, float]
"""From which height to which."""


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
    tops, bottoms, zones = _heights(grid, [max(found.values(), default=-1) + 1 for found in tracks])
    groups = [_group(grid, band, tops, bottoms) for band in range(len(drawn.groups))]
    levels = [{piece: _level(zone, found, piece) for piece in found} for zone, found in zip(zones, tracks, strict=True)]
    lines = [_line(chain, way, levels, tops, bottoms) for chain, way in ways]
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
    """The place of each lane: right of all phases, in the order of the ends they lead to, or left of them."""
    ends = sorted(grid.rows[-1], key=_from_above)
    found = list(dict.fromkeys(cell.lane for chain in grid.chains for cell in chain.cells if cell.lane))
    rights = [lane for end in ends if (lane := f"right {end.key}") in found]
    lefts = [lane for lane in found if lane not in rights]
    inner = [cell for row in grid.rows[:-1] for cell in row]
    right = max(cell.x + cell.right for cell in inner) + GROUP_SIDE
    left = min(cell.x - cell.left for cell in inner) - GROUP_SIDE
    return {
        **{lane: right + LANE * number for number, lane in enumerate(rights, 1)},
        **{lane: left - LANE * number for number, lane in enumerate(lefts, 1)},
    }


def _from_above(end: Cell) -> float:
    """Where the lines stand that come to an end straight from above; far right without any."""
    places = [each.x for each in end.near if not each.lane]
    return sum(places) / len(places) if places else float("inf")


def _place_last_row(grid: Grid, lanes: dict[str, float]) -> None:
    """The ends stand below what leads to them, lanes included."""
    row = grid.rows[-1]
    row.sort(key=_from_above)
    wanted = []
    for cell in row:
        places = [_place(each, lanes) for each in cell.near]
        wanted.append(sum(places) / len(places) if places else cell.x)
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


def _heights(grid: Grid, tracks: list[int]) -> tuple[list[float], list[float], list[Zone]]:
    """The tops and bottoms of the rows, and the zones between them in which lines go across (outside the frames)."""
    tops: list[float] = []
    bottoms: list[float] = []
    zones: list[Zone] = []
    y, before = TITLE, -1
    for number, row in enumerate(grid.rows):
        band = grid.bands[number]
        y += GROUP_TOP if band not in (before, grid.bands[-1]) else 0
        tops.append(y)
        y += max(cell.room for cell in row)
        bottoms.append(y)
        leaving = grid.bands[min(number + 1, len(grid.rows) - 1)] != band
        y += GROUP_BOTTOM if leaving else 0
        room = max(BETWEEN_GROUPS if leaving else BETWEEN_ROWS, FIRST_TRACK + TRACK * (tracks[number] - 1) + LAST_TRACK)
        zones.append((y, y + room))
        y, before = y + room, band
    return tops, bottoms, zones


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
    return [(chain, [ports.get((chain, cell), _place(cell, lanes)) for cell in chain.cells]) for chain in grid.chains]


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


def _line(chain: Chain, way: Way, levels: list[dict[Piece, float]], tops: list[float], bottoms: list[float]) -> Line:
    upper, lower = chain.cells[0], chain.cells[-1]
    points = [(way[0], middle_of(upper, tops, bottoms) + upper.height / 2)]
    for index, (one, two) in enumerate(pairwise(chain.cells)):
        points.append((way[index], bottoms[one.row]))
        y = levels[one.row].get(_piece(chain, way, index))
        if y is not None:
            points += [(way[index], y), (way[index + 1], y)]
        points.append((way[index + 1], tops[two.row]))
    points.append((way[-1], middle_of(lower, tops, bottoms) - lower.height / 2))
    corners = [point for index, point in enumerate(points) if not index or point != points[index - 1]]
    return Line(chain, tuple(corners if chain.down else reversed(corners)))


def _level(zone: Zone, tracks: dict[Piece, int], piece: Piece) -> float:
    """The height of a piece: the tracks share the zone; below the last there is room for the tips of arrows."""
    last = max(tracks.values())
    room = zone[1] - zone[0] - FIRST_TRACK - LAST_TRACK
    return zone[0] + FIRST_TRACK + (tracks[piece] * room / last if last else room / 2)


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
