"""Decision points that stand alone: the decision machine for people who own their loop."""

from stepladder.points.alone import Moved, Standing, advance_alone, fold_alone
from stepladder.points.point import Point, make_point

__all__ = ["Moved", "Point", "Standing", "advance_alone", "fold_alone", "make_point"]
