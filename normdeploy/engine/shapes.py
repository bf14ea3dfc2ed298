"""The shapes that an engine is to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from normdeploy.errors import UsageError
from normdeploy.inputs.declared import DeclaredInput, with_shapes
from normdeploy.inputs.ranges import Range

Sizes = tuple[int, ...]


def profile_shapes(
    inputs: Sequence[DeclaredInput], shapes: Mapping[str, Sequence[int] | Range]
) -> dict[str, tuple[Sizes, Sizes, Sizes]]:
    """The smallest, best and largest shape of every input.

    Args:
        inputs: those that the model declares.
        shapes: what a user gives for some.

    Raises:
        UsageError: an input whose shape the model leaves open has none, or a shape is for no input.
        InputError: the model does not take a shape that is given.
    """
    ranges = {
        name: shape if isinstance(shape, Range) else Range(shape, shape, shape)
        for name, shape in shapes.items()
    }
    smallest = _fixed(inputs, {name: given.min for name, given in ranges.items()})
    best = _fixed(inputs, {name: given.opt for name, given in ranges.items()})
    largest = _fixed(inputs, {name: given.max for name, given in ranges.items()})
    return {name: (smallest[name], best[name], largest[name]) for name in best}


def _fixed(inputs: Sequence[DeclaredInput], shapes: Mapping[str, Sequence[int]]) -> dict[str, Sizes]:
    """Every input's shape with all of its sizes.

    Raises:
        UsageError, InputError: see `profile_shapes`.
    """
    fixed = {}
    for declared in with_shapes(inputs, shapes):
        sizes = tuple(size for size in declared.dims or () if isinstance(size, int))
        if declared.dims is None or len(sizes) != len(declared.dims):
            example = "x".join(str(dim) if isinstance(dim, int) else "1" for dim in declared.dims or (1, 3))
            raise UsageError(
                f"input '{declared.name}' is {declared}: give its shape, such as "
                f"--shape {declared.name}:{example}, or the smallest, best and largest as NAME:MIN:OPT:MAX"
            )
        fixed[declared.name] = sizes
    return fixed
