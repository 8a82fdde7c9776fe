"""Splits that keep together what belongs together: runs with one split key are never on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder.errors import InputError


def grouped_folds(split_keys: Sequence[str], folds: int = 5, seed: int = 0) -> NDArray[Any]:
    """For each run the fold (0 to `folds` - 1) it is held out in.

    The same keys, folds and seed give the same split, in whatever order the runs come. Keys are shuffled by the seed,
    then each goes to the fold that has the fewest runs so far, so that folds are of nearly one size.

    Raises:
        InputError: there are fewer keys than folds.
    """
    sizes: dict[str, int] = {}
    for key in split_keys:
        sizes[key] = sizes.get(key, 0) + 1
    if len(sizes) < folds:
        raise InputError("split", "split_key", f"{len(sizes)} different ones", f"at least {folds}, one for each fold")
    keys = sorted(sizes)
    Random(seed).shuffle(keys)
    filled, fold_of = [0] * folds, {}
    for key in keys:
        fold = min(range(folds), key=filled.__getitem__)
        filled[fold] += sizes[key]
        fold_of[key] = fold
    return np.array([fold_of[key] for key in split_keys], np.int16)
