"""A workflow as one self-contained SVG: no script, no font, no reference to anything outside.

Top down; phases are framed, actions stand on their arrows with the guard below. Colours follow the reader's light or
dark scheme. The same workflow and path give the same bytes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from stepladder.diagram.grid import LOOP, Cell
from stepladder.diagram.layout import Layout, Line, Point, Rect, lay_out, middle_of
from stepladder.diagram.measure import GUARD, PHASE, badge_width, label_height, label_lines, label_size, width
from stepladder.diagram.picture import Arrow, Box, Group, Path, Picture, picture, shortened
from stepladder.diagram.style import STYLE
from stepladder.workflow.definition import Definition

_ROUND: Final = 9


def svg(definition: Definition, path: Path | None = None) -> str:
    """The workflow as SVG; with a run's path, what it visited and took is marked with counts.

    Raises:
        NoNetworkx: networkx is not installed (`pip install 'stepladder[diagram]'`).
    """
    drawn = picture(definition, path)
    laid = lay_out(drawn)
    head = _head(drawn, laid)
    groups = [_group(group, rect) for group, rect in zip(drawn.groups, laid.groups, strict=True)]
    lines = sorted(laid.lines, key=lambda line: _taken(line.chain.arrows))
    ways = [_way(line) for line in lines]
    loops = [_loop(laid, laid.grid.boxes[name], arrows) for name, arrows in laid.grid.loops.items()]
    labels = [_labelled(laid, line) for line in lines]
    boxes = [_box(laid, laid.grid.boxes[name], box) for name, box in drawn.boxes.items()]
    titles = [_group_title(group, rect) for group, rect in zip(drawn.groups, laid.groups, strict=True)]
    return "\n".join([*head, *groups, *ways, *titles, *loops, *labels, *boxes, "</svg>"]) + "\n"


def escape(text: str) -> str:
    """The text as it may stand in XML, without the characters that XML cannot hold."""
    whole = "".join(character if _in_xml(character) else "�" for character in text)
    return whole.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _in_xml(character: str) -> bool:
    number = ord(character)
    return number in (9, 10, 13) or 0x20 <= number <= 0xD7FF or 0xE000 <= number <= 0xFFFD or number >= 0x10000


def _head(drawn: Picture, laid: Layout) -> list[str]:
    wide, high = f"{laid.width:.0f}", f"{laid.height:.0f}"
    marks = "".join(
        f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="{name}" d="M0,0.8 L10,5 L0,9.2 z"/></marker>'
        for name in ("tip", "tip-taken")
    )
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        f'role="img" aria-labelledby="title desc">',
        f'<title id="title">Workflow {escape(drawn.title)}</title>',
        f'<desc id="desc">{escape(_description(drawn))}</desc>',
        f"<style>{STYLE}</style>",
        f"<defs>{marks}</defs>",
        f'<rect class="page" width="{wide}" height="{high}"/>',
        f'<text class="title" x="22" y="29">{escape(drawn.title)}</text>',
    ]


def _description(drawn: Picture) -> str:
    ways = (f"{arrow.action} from {arrow.source} to {arrow.target}" for arrow in drawn.arrows)
    return f"{drawn.summary}. {'; '.join(ways)}."


def _taken(arrows: tuple[Arrow, ...]) -> int:
    return sum(arrow.taken for arrow in arrows)


# --- phases and boxes


def _group(group: Group, rect: Rect) -> str:
    told = f"phase {group.name}" + (f", until {group.criteria}" if group.criteria else "")
    return (
        f'<g class="phase"><title>{escape(told)}</title>'
        f'<rect x="{rect.left:.1f}" y="{rect.top:.1f}" width="{rect.right - rect.left:.1f}" '
        f'height="{rect.bottom - rect.top:.1f}" rx="14"/></g>'
    )


def _group_title(group: Group, rect: Rect) -> str:
    """The name of a phase on a ground of its own, above the lines that come in from above."""
    until = shortened(f"until {group.criteria}", 70) if group.criteria else ""
    wide = width(group.name, PHASE) * 1.1 + (width(until, GUARD) + 14 if until else 0)
    wide = min(wide, rect.right - rect.left - 28)
    span = f'<tspan class="until" dx="10">{escape(until)}</tspan>' if until else ""
    return (
        f'<g class="heading"><rect x="{rect.left + 12:.1f}" y="{rect.top + 8:.1f}" width="{wide + 8:.1f}" height="18"/>'
        f'<text x="{rect.left + 16:.1f}" y="{rect.top + 21:.1f}">{escape(group.name)}{span}</text></g>'
    )


def _box(laid: Layout, cell: Cell, box: Box) -> str:
    y = middle_of(cell, laid.tops, laid.bottoms)
    marks = " ".join(("box", box.kind, *(["visited"] if box.visits else []), *(["current"] if box.current else [])))
    said = ": ".join(part for part in (box.name, box.detail, box.description) if part)
    texts = _texts(cell.x, y, box)
    extra = (_start(cell, y) if box.start else "") + (_badge(cell, y, box.visits) if box.visits > 1 else "")
    return f'<g class="{marks}"><title>{escape(said)}</title>{_shape(cell, y, box)}{texts}{extra}</g>'


def _shape(cell: Cell, y: float, box: Box) -> str:
    left, top, wide, high = cell.x - cell.half, y - cell.height / 2, cell.half * 2, cell.height
    if box.kind == "failure":
        cut, right, bottom = 11, left + wide, top + high
        corners = (
            (left + cut, top), (right - cut, top), (right, top + cut), (right, bottom - cut),
            (right - cut, bottom), (left + cut, bottom), (left, bottom - cut), (left, top + cut),
        )  # fmt: skip
        return f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in corners)}"/>'
    rounded = high / 2 if box.kind == "success" else 20 if box.kind == "person" else 9 if box.kind != "wait" else 2
    outer = f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="{rounded:.0f}"/>'
    if box.kind != "success":
        return outer
    return outer + (
        f'<rect class="inner" x="{left + 4:.1f}" y="{top + 4:.1f}" width="{wide - 8:.1f}" '
        f'height="{high - 8:.1f}" rx="{rounded - 4:.0f}"/>'
    )


def _texts(x: float, y: float, box: Box) -> str:
    name = f'<text class="name" x="{x:.1f}" y="{y + (-3 if box.detail else 5):.1f}">{escape(box.name)}</text>'
    if not box.detail:
        return name
    return f'{name}<text class="detail" x="{x:.1f}" y="{y + 14:.1f}">{escape(shortened(box.detail))}</text>'


def _start(cell: Cell, y: float) -> str:
    left = cell.x - cell.half
    return (
        f'<circle class="start" cx="{left - 24:.1f}" cy="{y:.1f}" r="4.5"/>'
        f'<path class="way" marker-end="url(#tip)" d="M{left - 19:.1f},{y:.1f} H{left - 1:.1f}"/>'
    )


def _badge(cell: Cell, y: float, count: int) -> str:
    text = f"×{count}"
    wide = badge_width(count)
    x, top = cell.x + cell.half - wide - 5, y - cell.height / 2 + 5
    return (
        f'<rect class="badge" x="{x:.1f}" y="{top:.1f}" width="{wide}" height="16" rx="8"/>'
        f'<text class="count" x="{x + wide / 2:.1f}" y="{top + 12:.1f}">{text}</text>'
    )


# --- arrows


def _way(line: Line) -> str:
    taken = " taken" if _taken(line.chain.arrows) else ""
    tip = "tip-taken" if taken else "tip"
    return f'<path class="way{taken}" marker-end="url(#{tip})" d="{_curve(line.points)}"/>'


def _curve(points: tuple[Point, ...]) -> str:
    """The line through these corners: gentle bends, and round corners where it goes across."""
    parts = [_at("M", points[0])]
    before = points[0]
    for corner, after in pairwise(points[1:]):
        if _level(before, corner) == _level(corner, after):
            parts.append(_bend(before, corner))
        else:
            reach = min(_ROUND, _length(before, corner) / 2, _length(corner, after) / 2)
            turn, on = _toward(corner, before, reach), _toward(corner, after, reach)
            parts += [_at("L", turn), _at("Q", corner), _at("", on)]
        before = corner
    return " ".join([*parts, _bend(before, points[-1])])


def _at(letter: str, point: Point) -> str:
    return f"{letter}{point[0]:.1f},{point[1]:.1f}"


def _level(one: Point, two: Point) -> bool:
    return one[1] == two[1]


def _length(one: Point, two: Point) -> float:
    return abs(one[0] - two[0]) + abs(one[1] - two[1])


def _toward(corner: Point, other: Point, reach: float) -> Point:
    length = _length(corner, other) or 1.0
    part = reach / length
    return corner[0] + (other[0] - corner[0]) * part, corner[1] + (other[1] - corner[1]) * part


def _bend(one: Point, two: Point) -> str:
    """Straight on, or aside by a little."""
    middle = (one[1] + two[1]) / 2
    if abs(one[0] - two[0]) < 0.5 or _level(one, two):
        return _at("L", two)
    return f"C{one[0]:.1f},{middle:.1f} {two[0]:.1f},{middle:.1f} {two[0]:.1f},{two[1]:.1f}"


def _loop(laid: Layout, cell: Cell, arrows: tuple[Arrow, ...]) -> str:
    x, y = cell.x + cell.half, middle_of(cell, laid.tops, laid.bottoms)
    taken = " taken" if _taken(arrows) else ""
    tip = "tip-taken" if taken else "tip"
    out = x + LOOP - 6
    curve = f"M{x:.1f},{y - 10:.1f} C{out:.1f},{y - 22:.1f} {out:.1f},{y + 22:.1f} {x + 1:.1f},{y + 10:.1f}"
    label = _label(arrows, x + LOOP - 8 + label_size(arrows)[0] / 2, y)
    return f'<path class="way{taken}" marker-end="url(#{tip})" d="{curve}"/>{label}'


def _labelled(laid: Layout, line: Line) -> str:
    cell = next(cell for cell in line.chain.cells if cell.kind == "label")
    return _label(line.chain.arrows, cell.x, middle_of(cell, laid.tops, laid.bottoms))


def _label(arrows: tuple[Arrow, ...], x: float, y: float) -> str:
    wide, high = label_size(arrows)
    top = y - high / 2
    parts = [f'<rect x="{x - wide / 2:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="6"/>']
    top += 3
    for arrow in arrows:
        action, guard = label_lines(arrow)
        taken = " taken" if arrow.taken else ""
        parts.append(f'<text class="action{taken}" x="{x:.1f}" y="{top + 11:.1f}">{escape(action)}</text>')
        if guard:
            parts.append(f'<text class="guard" x="{x:.1f}" y="{top + 24:.1f}">{escape(guard)}</text>')
        top += label_height(arrow)
    return f'<g class="label"><title>{escape(_told(arrows))}</title>{"".join(parts)}</g>'


def _told(arrows: tuple[Arrow, ...]) -> str:
    return "\n".join(
        f"{arrow.action}: {arrow.source} to {arrow.target}"
        + (f", if {arrow.full_guard}" if arrow.full_guard else "")
        + (f". {arrow.description}" if arrow.description else "")
        for arrow in arrows
    )
