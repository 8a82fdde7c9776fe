"""Workflows as pictures: Mermaid text and self-contained SVG, plain or with a run's path marked."""

from stepladder.diagram.mermaid import mermaid
from stepladder.diagram.picture import Path, path_of
from stepladder.diagram.svg import svg

__all__ = ["Path", "mermaid", "path_of", "svg"]
