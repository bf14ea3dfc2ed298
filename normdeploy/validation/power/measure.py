"""How small an error in each layer a check would have called wrong.

Each layer's output is multiplied by 1 ± ε per channel, with random signs, and only the rest of the graph is
run. What the outputs change by is judged as a backend's errors are. The smallest ε that is called wrong
depends on the signs, as errors of channels may cancel: the largest of a few draws is what counts.

The samples are pooled: the few batches of the check are kept in which an error in every layer showed most,
and of these the one that shows most of the layer at hand is the one in which the size is searched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from normdeploy.budget import restart_clock
from normdeploy.errors import BudgetExceeded, ModelError
from normdeploy.validation.judge import Judge
from normdeploy.validation.power.blindness import ERROR, Blindness, Telling
from normdeploy.validation.power.judging import judge_as_given, largest_ratio
from normdeploy.validation.power.layers import Layer
from normdeploy.validation.power.result import LayerPower, Power
from normdeploy.validation.power.search import LARGEST, smallest_seen
from normdeploy.validation.power.walk import Cuts, Walk

Progress = Callable[[int, int | None], None]
"""Called with the number of layers that have been looked at, and of all."""

BATCHES = 3
"""That are kept. Generated inputs come in three magnitudes."""

_DRAWS = 3
"""Of the signs. An error of twice the largest of their sizes is seen with nearly all other signs, and one of
a tenth with hardly any (benchmarks/power_calibration.py)."""

_PROPORTIONAL = 2.0
"""Factor within which the answer is taken for proportional to the error, from one draw to the next."""


def measure(
    judge: Judge, blindness: Blindness, min_power: float | None = None, progress: Progress | None = None
) -> Power | None:
    """The smallest error in each layer that the check would have called wrong.

    Args:
        judge: of the backends' outputs.
        blindness: has looked at all batches, and kept a few.
        min_power: the error that has to be seen in each layer; None if that was not asked for.
        progress: is told how many layers have been looked at.

    Returns:
        None where nothing was run.

    Raises:
        BudgetExceeded: the rest of the graph takes too much.
    """
    if not blindness.telling:
        return None
    layers = blindness.cuts.layers
    batches = [_Batch(judge, blindness.cuts, each) for each in blindness.telling]
    found = []
    for index, layer in enumerate(layers, 1):
        for batch in batches:
            batch.advance(layer)
        found.append(LayerPower(layer.name, layer.op_type, _smallest(layer, batches)))
        if progress is not None:
            progress(index, len(layers))
    return Power(found, min_power)


class _Batch:
    """One batch on its way through the graph."""

    def __init__(self, judge: Judge, cuts: Cuts, telling: Telling) -> None:
        self._seed = judge.seed
        self._case = telling.case
        self._outputs = {str(value.name): value for value in judge.deployed.model.graph.outputs}
        self._walk = Walk(judge.deployed, cuts, telling.inputs)

    def advance(self, layer: Layer) -> None:
        """Compute everything up to a layer; the layers have to come in order."""
        restart_clock()
        self._walk.advance(layer)

    def ratio(self, layer: Layer, size: float, draw: int) -> float:
        """The largest change / allowed change of the outputs with an error in the layer that was reached."""
        restart_clock()
        try:
            outputs = self._walk.outputs_with_error(layer, size, [self._seed, draw])
        except BudgetExceeded:
            raise
        except ModelError:  # sizes that are computed no longer fit: nobody would miss that
            return math.inf
        return largest_ratio(judge_as_given(self._case, outputs, self._outputs), self._outputs)


def _smallest(layer: Layer, batches: Sequence[_Batch]) -> float | None:
    """The smallest error in a layer that is seen in one of the batches; None if there is none.

    A normalization behind it may take out again what is common to a channel. Each element has an error of its
    own then.
    """
    found = _smallest_of_signs(layer, batches)
    if found is None or found >= LARGEST:
        return _smallest_of_signs(replace(layer, per_element=True), batches) or found
    return found


def _smallest_of_signs(layer: Layer, batches: Sequence[_Batch]) -> float | None:
    """The same, whether channels have errors or elements."""
    first = {batch: batch.ratio(layer, ERROR, 0) for batch in batches}
    batches = sorted(batches, key=lambda batch: -first[batch])
    for batch in batches:
        found = smallest_seen(_known(batch, layer, first[batch]), ERROR)
        if found is not None:
            others = [other for other in batches if other is not batch]
            return _largest_of_draws([batch, *others], layer, found)
    return None


def _known(batch: _Batch, layer: Layer, first: float) -> Callable[[float], float]:
    return lambda size: first if size == ERROR else batch.ratio(layer, size, 0)


def _largest_of_draws(batches: Sequence[_Batch], layer: Layer, found: float) -> float | None:
    """The smallest error that is seen whatever the signs; None if some hide any error in every batch.

    Args:
        batches: in which it is looked for, the others only with signs that hide it in the first.
        layer: in which the error is.
        found: the smallest that is seen with the first signs.
    """
    sizes = [found]
    for draw in range(1, _DRAWS):
        ratio = batches[0].ratio(layer, found, draw)
        if 1 / _PROPORTIONAL < ratio < _PROPORTIONAL:
            sizes.append(found / ratio)
            continue
        searched = (smallest_seen(partial(batch.ratio, layer, draw=draw), found) for batch in batches)
        size = next((size for size in searched if size is not None), None)
        if size is None:
            return None
        sizes.append(size)
    return min(LARGEST, max(sizes))
