"""Rules and classifiers over many recorded decisions at once. Needs numpy: `pip install 'stepladder[evaluation]'`."""

from importlib.util import find_spec

from stepladder.errors import StepladderError

if find_spec("numpy") is None:
    raise StepladderError("stepladder.evaluation needs numpy: pip install 'stepladder[evaluation]'")

from stepladder.evaluation.columns import Column, Columns
from stepladder.evaluation.fold import COUNTED, Observed, count_columns, fold_columns
from stepladder.evaluation.mask import Mask
from stepladder.evaluation.recorded import decided_on, legal_masks
from stepladder.evaluation.verdicts import ROUTES, Choices, Masks, Routes, choose_columns, classify_columns, names_read

__all__ = [
    "COUNTED",
    "ROUTES",
    "Choices",
    "Column",
    "Columns",
    "Mask",
    "Masks",
    "Observed",
    "Routes",
    "choose_columns",
    "classify_columns",
    "count_columns",
    "decided_on",
    "fold_columns",
    "legal_masks",
    "names_read",
]
