"""Which step stands above which: ranks inside each phase, by networkx."""

from __future__ import annotations

from typing import Any

from stepladder.diagram.picture import Group, Picture
from stepladder.errors import StepladderError


class NoNetworkx(StepladderError):
    """The drawing needs networkx, which is not installed."""

    def __init__(self) -> None:
        super().__init__("drawing an SVG needs networkx: pip install 'stepladder[diagram]' (Mermaid needs nothing)")


def _networkx() -> Any:
    try:
        import networkx
    except ImportError:
        raise NoNetworkx from None
    return networkx


def ranks(drawn: Picture) -> dict[str, int]:
    """Each step's rank in its phase, from 0: as deep as the longest way to it that follows the order of the file.

    Arrows that lead on in the file's order come first; one that leads back is turned round if it would close a circle.
    """
    found: dict[str, int] = {}
    for group in drawn.groups:
        graph = _acyclic(drawn, group)
        for rank, steps in enumerate(_networkx().topological_generations(graph)):
            found.update(dict.fromkeys(steps, rank))
    return found


def _acyclic(drawn: Picture, group: Group) -> Any:
    networkx = _networkx()
    order = {step: number for number, step in enumerate(group.members)}
    pairs = [(arrow.source, arrow.target) for arrow in drawn.arrows if arrow.source in order and arrow.target in order]
    graph = networkx.DiGraph()
    graph.add_nodes_from(group.members)
    graph.add_edges_from(pair for pair in pairs if order[pair[0]] < order[pair[1]])
    for source, target in pairs:
        if order[source] > order[target]:
            turned = networkx.has_path(graph, target, source)
            graph.add_edge(*((target, source) if turned else (source, target)))
    return graph
