"""Outputs with a planted error, judged as a backend's are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.validation.judge import Case
from normdeploy.validation.localize.submodels import as_declared
from normdeploy.validation.row_outputs import Judged


def judge_as_given(
    case: Case, disturbed: Mapping[str, Array], outputs: Mapping[str, ir.Value], quickly: bool = False
) -> dict[str, Judged]:
    """Judge outputs in the types in which a backend gives them.

    Args:
        case: what is right, and what outputs may be off by.
        disturbed: what the reference computes with the error.
        outputs: of the graph, by name.
        quickly: see `Case.judge_disturbed`.
    """
    given = {name: as_declared(array, outputs[name].dtype) for name, array in disturbed.items()}
    with np.errstate(all="ignore"):  # NaN and overflow are what is compared, not news
        return case.judge_disturbed(given, quickly)


def largest_ratio(judged: Mapping[str, Judged], names: Iterable[str]) -> float:
    """The largest error / allowed error; infinite where an output has another shape.

    Args:
        judged: the outputs that could be compared.
        names: of all.
    """
    return max(
        (judged[name].comparison.noise_ratio if name in judged else math.inf for name in names), default=0.0
    )
