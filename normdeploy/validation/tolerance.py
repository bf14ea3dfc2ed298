"""How far a backend's output may be from the float64 reference.

Without --rtol and --atol an element with reference value r may be off by ::

    allowed = t · (|r| + s)        s = root mean square of the finite values of that output

t depends on the arithmetic alone. The first term is the error of the element's own rounding. The second
is there because an element is a sum of terms about as large as its neighbours: where they cancel, r is
near zero but the rounding of its terms is not. s is the typical size of the output and not its largest
value, so that one large element does not excuse errors in all others. Nothing absolute is added except
the smallest normal number of the type, below which a runtime may flush to zero.

=========== ============= ======= ==================================================================
arithmetic  unit roundoff t       in units of the roundoff, and why
=========== ============= ======= ==================================================================
float64     1.1e-16       1e-11   9e4: the reference has the same precision and another order of sums
float32     6.0e-8        3e-5    500: sums of n terms err by about √n roundoffs (Higham & Mary 2019)
                                  and layers add up; 50 layers with sums over 4,000 terms stay below
float16     4.9e-4        1e-2    20: sums are accumulated in float32, each layer's output rounded
bfloat16    3.9e-3        6e-2    16: as float16
float8      6.2e-2        5e-1    8: as float16
=========== ============= ======= ==================================================================

"Arithmetic" is the least precise floating type among the tensors that the model computes; weights that
are merely stored in a short type do not count. Integers, booleans and strings are compared exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from normdeploy.errors import UsageError

_BY_PRECISION = (
    (ir.DataType.DOUBLE, 1e-11, 2.0**-1022),
    (ir.DataType.FLOAT, 3e-5, 2.0**-126),
    (ir.DataType.FLOAT16, 1e-2, 2.0**-14),
    (ir.DataType.BFLOAT16, 6e-2, 2.0**-126),
)
"""Type, t, smallest normal number."""

_FLOAT8 = (5e-1, 2.0**-9)


@dataclass(frozen=True)
class Tolerance:
    """allowed = relative · |r| + scaled · s + absolute, for reference values r with root mean square s."""

    relative: float
    scaled: float
    absolute: float

    def allowed(self, expected: NDArray[Any]) -> NDArray[np.float64]:
        """The largest permitted error of each element; 0 for types that are not floating."""
        if expected.dtype != np.float64:
            return np.zeros(expected.shape)
        finite = expected[np.isfinite(expected)]
        largest = float(np.max(np.abs(finite), initial=0.0))
        scale = largest and largest * float(np.sqrt(np.mean(np.square(finite / largest))))
        allowed: NDArray[np.float64] = np.abs(expected) * self.relative + (
            scale * self.scaled + self.absolute
        )
        return allowed


def default_tolerance(computed: Iterable[ir.DataType]) -> Tolerance:
    """The tolerance for a model that computes tensors of these types."""
    types = {dtype for dtype in computed if dtype.is_floating_point()} or {ir.DataType.FLOAT}
    factor, smallest = _FLOAT8
    if types <= {dtype for dtype, _, _ in _BY_PRECISION}:
        _, factor, smallest = [row for row in _BY_PRECISION if row[0] in types][-1]
    return Tolerance(factor, factor, smallest)


def given_tolerance(rtol: float | None, atol: float | None) -> Tolerance | None:
    """allowed = rtol · |r| + atol, the one that is not given being 0; None if neither is.

    Raises:
        UsageError: a negative number, or NaN.
    """
    if rtol is None and atol is None:
        return None
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value is not None and not value >= 0:
            raise UsageError(f"{name} must be 0 or more, got {value}")
    return Tolerance(rtol or 0.0, 0.0, atol or 0.0)
