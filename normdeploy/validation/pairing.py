"""Which input and output of a reference stands for which of the deployed model's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableSequence, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from normdeploy.errors import InputError, UsageError
from normdeploy.graph.initializers import required_inputs
from normdeploy.graph.scopes import subgraphs


@dataclass(frozen=True)
class Pairing:
    """Names that differ: the deployed model's -> the reference's.

    Args:
        inputs, outputs: of either kind.
    """

    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def remarks(self) -> list[str]:
        """A line for each pair."""
        return [
            f"{what} '{new}' stands for '{old}' of the reference"
            for what, pairs in (("input", self.inputs), ("output", self.outputs))
            for new, old in pairs.items()
        ]


def pair_interfaces(deployed: ir.Model, original: ir.Model, names: Mapping[str, str]) -> Pairing:
    """Give the reference's inputs and outputs the names that they have in the deployed model.

    Its outputs get the deployed model's order, too.

    Names that are the same stand for each other, then those that `names` tells, then the only input and the
    only output of either. An input of the deployed model that nothing reads needs no partner: onnxruntime
    leaves such behind where it has folded an initializer that was listed as an input.

    Args:
        deployed: the model whose names hold.
        original: the reference, which is changed.
        names: the deployed model's name -> the reference's.

    Returns:
        The pairs whose names differ.

    Raises:
        UsageError: a name that neither an input nor an output has, or one that is told twice.
        InputError: interfaces that do not match.
    """
    left = dict(names)
    for new, old in left.items():
        other = next(each for each, same in left.items() if same == old)
        if other != new:
            raise UsageError(
                f"map: a name of the reference stands for two of the model: '{old}' for '{other}' and '{new}'"
            )
    differing = Pairing()
    renamed: dict[ir.Value, str] = {}
    read, unread = _inputs(deployed.graph, {str(value.name) for value in required_inputs(original.graph)})
    for what, ours, theirs, found in (
        ("inputs", read, required_inputs(original.graph), differing.inputs),
        ("outputs", deployed.graph.outputs, original.graph.outputs, differing.outputs),
    ):
        pairs = _paired(what, [str(v.name) for v in ours], [str(v.name) for v in theirs], left)
        values = {str(value.name): value for value in theirs}
        for new, old in pairs.items():
            if new != old:
                found[new] = old
                if renamed.setdefault(values[old], new) != new:
                    raise InputError(f"'{old}' is input and output of the reference, and has two names here")
    if left:
        new, old = next(iter(left.items()))
        raise UsageError(
            f"map: '{new}={old}' is no pair of inputs or outputs: the model has {_interface(deployed)}, and "
            f"its reference {_interface(original)}"
        )
    for value in unread:
        ignored = ir.Value(name=value.name, type=value.type, shape=value.shape)
        original.graph.inputs.append(ignored)
        renamed[ignored] = str(value.name)
    _rename(original, renamed)
    _reorder(original.graph.outputs, [value.name for value in deployed.graph.outputs])
    return differing


def _inputs(graph: ir.Graph, partners: set[str]) -> tuple[list[ir.Value], list[ir.Value]]:
    """The inputs that have to be given: those that are read or have a partner, and those that are ignored."""
    read: list[ir.Value] = []
    unread: list[ir.Value] = []
    for value in required_inputs(graph):
        ignored = not value.uses() and value not in graph.outputs and value.name not in partners
        (unread if ignored else read).append(value)
    return read, unread


def _paired(what: str, ours: Sequence[str], theirs: Sequence[str], told: dict[str, str]) -> dict[str, str]:
    """The deployed model's names with the reference's; what is used of `told` is taken from it."""
    pairs = {new: told.pop(new) for new in ours if told.get(new) in theirs}
    taken = set(pairs.values())
    pairs |= {name: name for name in ours if name not in pairs and name in theirs and name not in taken}
    new = [name for name in ours if name not in pairs]
    old = [name for name in theirs if name not in pairs.values()]
    if len(ours) == len(theirs) == len(new) == len(old) == 1:
        pairs[new[0]] = old[0]
    elif new or old:
        raise InputError(
            f"the model and its reference have different {what}: {_listed(ours)} and {_listed(theirs)}; "
            f"say which is which with --map NEW=OLD"
        )
    return pairs


def _rename(model: ir.Model, names: Mapping[ir.Value, str]) -> None:
    """Rename values; another tensor that has such a name gets a new one."""
    wanted = set(names.values())
    values = list(_values(model))
    taken = {value.name for value in values} | wanted
    for value in values:
        if value.name in wanted and names.get(value) != value.name:
            fresh = next(
                name for index in range(len(taken) + 1) if (name := f"{value.name}_{index}") not in taken
            )
            taken.add(fresh)
            value.name = fresh
    for value, name in names.items():
        value.name = name


def _reorder(outputs: MutableSequence[ir.Value], names: Sequence[str | None]) -> None:
    outputs[:] = sorted(outputs, key=lambda value: names.index(value.name))


def _values(model: ir.Model) -> Iterator[ir.Value]:
    """Every tensor that a graph of the model defines, in subgraphs too, functions aside."""
    seen: set[ir.Value] = set()
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        for value in (*graph.inputs, *graph.initializers.values()):
            if value not in seen:
                seen.add(value)
                yield value
        for node in graph:
            graphs += [inner for _, inner in subgraphs(node)]
            yield from (value for value in node.outputs if value.name)


def _interface(model: ir.Model) -> str:
    names = [str(value.name) for value in (*required_inputs(model.graph), *model.graph.outputs)]
    return _listed(names)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)) or "none"
