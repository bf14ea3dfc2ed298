"""Tensors that hold weighted sums of an input's elements, or of their squares, as exact descriptions.

A `WindowSums` says of a tensor v, relative to a root tensor x with square s = x² (or to x itself):

    v[p] = Σ_terms coefficient · Σ_j ∏_d m_d(p_d, j_d) · s[j]  +  constant

with one linear map m_d for each dimension of v (see `axis_map`). Each dimension holds an axis of x, several
merged ones, or none (then it has the length 1 before its map). Methods that act along one dimension take its
number as `index`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from normdeploy.graph.shapes import format_dims
from normdeploy.passes.lrn import axis_map
from normdeploy.passes.lrn.axis_map import IDENTITY, AxisMap, Length, Stencil
from normdeploy.passes.report import Refused


@dataclass(frozen=True)
class Dimension:
    """What a dimension holds before its map.

    Args:
        axes: axes of the root, in order; none for a new dimension.
        size: their length.
    """

    axes: tuple[int, ...]
    size: Length


NEW = Dimension((), 1)


@dataclass(frozen=True)
class Term:
    """coefficient times the product of one map for each dimension."""

    coefficient: float
    maps: tuple[AxisMap, ...]


@dataclass(frozen=True)
class WindowSums:
    """A tensor of weighted sums; the module's docstring has the formula.

    Args:
        dimensions: of the tensor.
        terms: all of the same shape.
        degree: 1 for sums of x, 2 for sums of x².
        constant: what is added to each element.
    """

    dimensions: tuple[Dimension, ...]
    terms: tuple[Term, ...]
    degree: int
    constant: float = 0.0

    @classmethod
    def root(cls, shape: Sequence[Length]) -> WindowSums:
        """The tensor x itself."""
        dimensions = tuple(Dimension((index,), dim) for index, dim in enumerate(shape))
        return cls(dimensions, (Term(1.0, (IDENTITY,) * len(dimensions)),), 1)

    @property
    def shape(self) -> list[Length]:
        """The lengths of the tensor's dimensions."""
        maps = self.terms[0].maps
        return [
            axis_map.length(item, dimension.size)
            for item, dimension in zip(maps, self.dimensions, strict=True)
        ]

    @property
    def axes(self) -> tuple[tuple[int, ...], ...]:
        """Which axes of the root each dimension holds."""
        return tuple(dimension.axes for dimension in self.dimensions)

    def is_moved_root(self) -> bool:
        """Whether the tensor holds the elements of x, at other places perhaps."""
        return (
            self.degree == 1
            and not self.constant
            and len(self.terms) == 1
            and self.terms[0].coefficient == 1
            and all(item == IDENTITY for item in self.terms[0].maps)
        )

    def squared(self) -> WindowSums | None:
        """The elementwise square, where each element is one element of x, scaled, or zero."""
        if self.degree != 1 or self.constant or len(self.terms) != 1:
            return None
        (term,) = self.terms
        if any(not isinstance(item, Stencil) or len(item.weights) != 1 for item in term.maps):
            return None
        maps = tuple(
            Stencil(item.low, (item.weights[0] ** 2,), item.extra)
            for item in term.maps
            if isinstance(item, Stencil)
        )
        return WindowSums(self.dimensions, (Term(term.coefficient**2, maps),), 2)

    def scaled(self, factor: float) -> WindowSums:
        """factor · v, elementwise."""
        terms = tuple(replace(term, coefficient=term.coefficient * factor) for term in self.terms)
        return replace(self, terms=terms, constant=self.constant * factor)

    def plus_constant(self, amount: float) -> WindowSums:
        """v + amount, elementwise."""
        return replace(self, constant=self.constant + amount)

    def plus(self, other: WindowSums) -> WindowSums | None:
        """The sum of two tensors of one shape; None where they are not."""
        if self.degree != other.degree or self.axes != other.axes or self.shape != other.shape:
            return None
        terms: list[Term] = list(self.terms)
        for term in other.terms:
            _insert(terms, term, self.dimensions)
        return replace(self, terms=tuple(terms), constant=self.constant + other.constant)

    def with_map(self, index: int, change: Callable[[AxisMap, Length], AxisMap]) -> WindowSums:
        """With the map of one dimension changed.

        Args:
            index: the dimension.
            change: makes the new map from the old one and the dimension's length before it.

        Raises:
            Refused: the dimension holds several axes, or a constant was added before.
        """
        dimension = self.dimensions[index]
        if len(dimension.axes) > 1:
            raise Refused("its window spans axes that are merged into one")
        if self.constant:
            raise Refused("a constant is added before the window")
        terms: list[Term] = []
        for term in self.terms:
            maps = list(term.maps)
            maps[index] = change(maps[index], dimension.size)
            _insert(terms, Term(term.coefficient, tuple(maps)), self.dimensions)
        return replace(self, terms=tuple(terms))

    def padded(self, index: int, before: int, after: int) -> WindowSums:
        """With zeros at the ends of a dimension; negative numbers take elements away."""
        if not before and not after:
            return self
        return self.with_map(index, lambda old, n: axis_map.pad(old, n, before, after))

    def permuted(self, order: Sequence[int]) -> WindowSums:
        """With the dimensions in another order, as ONNX Transpose takes it."""
        terms = tuple(Term(term.coefficient, tuple(term.maps[i] for i in order)) for term in self.terms)
        return replace(self, dimensions=tuple(self.dimensions[i] for i in order), terms=terms)

    def inserted(self, index: int) -> WindowSums:
        """With a new dimension of length 1."""
        dimensions = (*self.dimensions[:index], NEW, *self.dimensions[index:])
        terms = tuple(
            Term(term.coefficient, (*term.maps[:index], IDENTITY, *term.maps[index:])) for term in self.terms
        )
        return replace(self, dimensions=dimensions, terms=terms)

    def dropped(self, index: int) -> WindowSums:
        """Without a dimension of length 1.

        Raises:
            Refused: it is longer, or a reduction of a longer axis.
        """
        dimension = self.dimensions[index]
        if self.shape[index] != 1 or dimension.size != 1:
            raise Refused(f"a dimension of length {self.shape[index]} is removed")
        terms: list[Term] = []
        for term in self.terms:
            factor = float(axis_map.matrix(term.maps[index], 1)[0, 0])
            maps = (*term.maps[:index], *term.maps[index + 1 :])
            _insert(terms, Term(term.coefficient * factor, maps), self.dimensions)
        dimensions = (*self.dimensions[:index], *self.dimensions[index + 1 :])
        return replace(self, dimensions=dimensions, terms=tuple(terms))

    def merged(self, first: int, count: int, size: Length) -> WindowSums:
        """With `count` dimensions, from `first` on, made one of length `size`.

        Raises:
            Refused: something was done along one of them.
        """
        span = slice(first, first + count)
        if any(item != IDENTITY for term in self.terms for item in term.maps[span]):
            raise Refused("it merges an axis with its neighbours after it was padded or summed")
        axes = tuple(axis for dimension in self.dimensions[span] for axis in dimension.axes)
        dimensions = (*self.dimensions[:first], Dimension(axes, size), *self.dimensions[first + count :])
        terms = tuple(
            Term(term.coefficient, (*term.maps[:first], IDENTITY, *term.maps[first + count :]))
            for term in self.terms
        )
        return replace(self, dimensions=dimensions, terms=terms)

    def split(self, index: int, root: Sequence[Length]) -> WindowSums:
        """With a merged dimension taken apart into its axes, whose lengths `root` holds."""
        parts = tuple(Dimension((axis,), root[axis]) for axis in self.dimensions[index].axes)
        dimensions = (*self.dimensions[:index], *parts, *self.dimensions[index + 1 :])
        terms = tuple(
            Term(
                term.coefficient,
                (*term.maps[:index], *(IDENTITY for _ in parts), *term.maps[index + 1 :]),
            )
            for term in self.terms
        )
        return replace(self, dimensions=dimensions, terms=terms)


def _insert(terms: list[Term], term: Term, dimensions: Sequence[Dimension]) -> None:
    """Add a term to a sum; terms whose maps differ along one dimension only become one."""
    for index, old in enumerate(terms):
        merged = _merged(old, term, dimensions)
        if merged is not None:
            del terms[index]
            _insert(terms, merged, dimensions)
            return
    terms.append(term)


def _merged(first: Term, second: Term, dimensions: Sequence[Dimension]) -> Term | None:
    differing = [
        index
        for index, (a, b) in enumerate(zip(first.maps, second.maps, strict=True))
        if a is not b and a != b
    ]
    if not differing:
        return Term(first.coefficient + second.coefficient, first.maps)
    if len(differing) > 1:
        return None
    (index,) = differing
    common = first.coefficient if first.coefficient == second.coefficient else 1.0
    one = axis_map.scale(first.maps[index], first.coefficient / common)
    two = axis_map.scale(second.maps[index], second.coefficient / common)
    maps = list(first.maps)
    maps[index] = axis_map.add(one, two, dimensions[index].size)
    return Term(common, tuple(maps))


def reshape(sums: WindowSums, target: Sequence[Length], root: Sequence[Length]) -> WindowSums:
    """ONNX Reshape.

    Args:
        sums: the tensor.
        target: the lengths wanted; -1 for one that follows from the others.
        root: the shape of the root.

    Raises:
        Refused: axes are mixed.
    """
    target = _resolved(target, sums.shape)
    index = position = 0
    while position < len(target):
        wanted, shape = target[position], sums.shape
        rest = len(target) - position - 1
        here = shape[index] if index < len(shape) else None
        if here is not None and here == wanted:
            index, position = index + 1, position + 1
        elif here == 1 and wanted not in (1, -1) and sums.dimensions[index].size == 1:
            sums = sums.dropped(index)
        elif wanted == 1:
            sums = sums.inserted(index)
            index, position = index + 1, position + 1
        elif here is not None and (count := _split_count(sums, index, target[position:], root)):
            sums = sums.split(index, root)
            index, position = index + count, position + count
        elif here is not None and (count := _merge_count(shape, index, wanted, rest, target)):
            if count > 1:
                sums = sums.merged(index, count, _product(shape[index : index + count]))
            index, position = index + 1, position + 1
        else:
            raise Refused(f"the reshape from {format_dims(shape)} to {format_dims(target)} mixes axes")
    while len(sums.dimensions) > len(target):
        sums = sums.dropped(len(target))
    return sums


def _resolved(target: Sequence[Length], shape: Sequence[Length]) -> Sequence[Length]:
    """The target with a number for -1, where all other lengths are numbers."""
    whole, rest = _product(shape), _product([length for length in target if length != -1])
    if not isinstance(whole, int) or not isinstance(rest, int) or not rest or whole % rest:
        return target
    return [whole // rest if length == -1 else length for length in target]


def _split_count(sums: WindowSums, index: int, target: Sequence[Length], root: Sequence[Length]) -> int:
    """How many of the target's dimensions a merged one splits into; 0 where it does not."""
    parts = [root[axis] for axis in sums.dimensions[index].axes]
    given = list(target[: len(parts)])
    if len(parts) < 2 or len(given) < len(parts) or given.count(-1) > 1:
        return 0
    return len(parts) if all(dim in (-1, part) for dim, part in zip(given, parts, strict=True)) else 0


def _merge_count(
    shape: Sequence[Length], index: int, wanted: Length, rest: int, target: Sequence[Length]
) -> int:
    """How many dimensions from `index` on become the one wanted; 0 where none fit."""
    if wanted == -1:
        count = len(shape) - index - rest
        fits = count > 0 and list(shape[index + count :]) == list(target[len(target) - rest :])
        return count if fits else 0
    for count in range(1, len(shape) - index + 1):
        if _product(shape[index : index + count]) == wanted:
            return count
    return 0


def _product(lengths: Sequence[Length]) -> Length:
    number = math.prod(length for length in lengths if isinstance(length, int))
    names = [length for length in lengths if isinstance(length, str)]
    return "·".join([*([str(number)] if number != 1 else []), *names]) if names else number


def concatenated(parts: Sequence[WindowSums | int], index: int) -> WindowSums | None:
    """ONNX Concat along a dimension.

    Args:
        parts: tensors; a number stands for so many zeros. At least one is a tensor.
        index: the dimension.

    Returns:
        The whole; None where the parts do not fit.

    Raises:
        Refused: a part has to be padded with zeros that it cannot take.
    """
    dimension = next(part.dimensions[index] for part in parts if isinstance(part, WindowSums))
    lengths = [part.shape[index] if isinstance(part, WindowSums) else part for part in parts]
    whole: WindowSums | None = None
    for position, part in enumerate(parts):
        if not isinstance(part, WindowSums):
            continue
        before, after = lengths[:position], lengths[position + 1 :]
        if part.dimensions[index] != dimension or any(isinstance(item, str) for item in (*before, *after)):
            return None
        padded = part.padded(index, sum(int(item) for item in before), sum(int(item) for item in after))
        whole = padded if whole is None else whole.plus(padded)
        if whole is None:
            return None
    return whole
