"""A workflow in Mermaid's flowchart language: phases are subgraphs, actions stand on their arrows.

An action is a small node of its own in the middle of its arrow, because Mermaid puts labels of arrows on top of each
other. Ids are made by us (`step_…`, `end_…`, `phase_…`, `action_…`), so no name can be a word of the language. In
labels every character beyond a small set is written as a numbered entity, so no text can break out of its quotes.
"""

from __future__ import annotations

import re
from typing import Final

from stepladder.diagram.picture import Arrow, Box, Group, Path, Picture, picture
from stepladder.workflow.definition import Definition

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9 _.,:/+=!()\[\]-]")
_SHAPES: Final = {
    "plain": '("{}")',
    "agent": '["{}"]',
    "person": '[/"{}"/]',
    "wait": '{{{{"{}"}}}}',
    "success": '(["{}"])',
    "failure": '[["{}"]]',
}
_STYLES: Final = (
    "classDef agent fill:#e8f0fe,stroke:#4a6fa5,color:#1b2a41",
    "classDef person fill:#fff4e0,stroke:#b7791f,color:#4a3410",
    "classDef wait fill:#f0ebfa,stroke:#7a5ea8,color:#33235a",
    "classDef plain fill:#f6f7f9,stroke:#8a94a3,color:#22303f",
    "classDef success fill:#e3f5e9,stroke:#2f855a,color:#14432a",
    "classDef failure fill:#fde8e8,stroke:#b83232,color:#5c1414",
    "classDef action fill:#ffffff,stroke:#c9d1da,color:#22303f",
    "classDef visited stroke-width:3px",
    "classDef current stroke-width:4px,stroke:#d9480f",
)


def mermaid(definition: Definition, path: Path | None = None) -> str:
    """The workflow as a Mermaid flowchart; with a run's path, what it visited and took is marked with counts."""
    drawn = picture(definition, path)
    ids = _ids(drawn)
    lines = ["flowchart TD", f"  accTitle: {_plain(drawn.title)}", f"  accDescr: {_plain(drawn.summary)}"]
    for number, group in enumerate(drawn.groups):
        lines += _group(drawn, group, number, ids)
    lines += [f"  {_box(drawn.boxes[end], ids)}" for end in drawn.ends]
    lines += [f"  {_arrow(number, arrow, ids)}" for number, arrow in enumerate(drawn.arrows)]
    lines += [f"  {style}" for style in _STYLES]
    lines += _marks(drawn, ids)
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """The text as it may stand in a quoted label."""
    return _UNSAFE.sub(lambda match: f"#{ord(match[0])};", text)


def _plain(text: str) -> str:
    return re.sub(r"[^\w ,.-]", " ", text, flags=re.ASCII)


def _ids(drawn: Picture) -> dict[str, str]:
    return {name: f"{'end' if name in drawn.ends else 'step'}_{name}" for name in drawn.boxes}


def _group(drawn: Picture, group: Group, number: int, ids: dict[str, str]) -> list[str]:
    criteria = f"<br/>until {escaped(group.criteria)}" if group.criteria else ""
    inner = [f"    {_box(drawn.boxes[step], ids)}" for step in group.members]
    inner += [f"    {_label(at, arrow)}" for at, arrow in enumerate(drawn.arrows) if arrow.source in group.members]
    return [f'  subgraph phase_{number}["{escaped(group.name)}{criteria}"]', *inner, "  end"]


def _box(box: Box, ids: dict[str, str]) -> str:
    lines = [escaped(("▶ " if box.start else "") + box.name + _times(box.visits))]
    if box.detail:
        lines.append(escaped(box.detail))
    return ids[box.name] + _SHAPES[box.kind].format("<br/>".join(lines)) + f":::{box.kind}"


def _times(count: int) -> str:
    return f" ×{count}" if count > 1 else ""


def _label(number: int, arrow: Arrow) -> str:
    lines = [escaped(arrow.action + _times(arrow.taken))]
    if arrow.guard:
        lines.append(f"<small>{escaped(arrow.guard)}</small>")
    return f'action_{number}("{"<br/>".join(lines)}"):::action'


def _arrow(number: int, arrow: Arrow, ids: dict[str, str]) -> str:
    return f"{ids[arrow.source]} --- action_{number} --> {ids[arrow.target]}"


def _marks(drawn: Picture, ids: dict[str, str]) -> list[str]:
    if not drawn.followed:
        return []
    visited = [ids[box.name] for box in drawn.boxes.values() if box.visits and not box.current]
    current = [ids[box.name] for box in drawn.boxes.values() if box.current]
    taken = [f"{2 * number},{2 * number + 1}" for number, arrow in enumerate(drawn.arrows) if arrow.taken]
    marked = ((visited, "visited"), (current, "current"))
    lines = [f"  class {','.join(names)} {style}" for names, style in marked if names]
    return [*lines, f"  linkStyle {','.join(taken)} stroke:#d9480f,stroke-width:3px"] if taken else lines
