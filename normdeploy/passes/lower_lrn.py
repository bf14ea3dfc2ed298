"""Lower LRN nodes to what a target computes fastest.

portable   LRN stays, as the standard's operator; IntraChannelLRN stays, and carries its body.
tensorrt   LRN stays where ILRNLayer takes it, else becomes an exact graph; IntraChannelLRN as above.
ort-cpu    both become graphs of standard operators, several times faster than onnxruntime's LRN and than
           pools with Pow, and exact where its LRN refuses (`passes.lrn.lowerings`). The form goes by size:
           across, a banded Conv while C ≤ 20 · n, since its cost grows with C and that of an AveragePool
           with n; within, a depthwise Conv, for n > 3 one for each axis.

Half precision is widened to float32 for the sums, which would overflow. Recovering an LRN from these graphs
gives the node back, so that lowering again gives the same graph.
"""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from normdeploy.choices import Target
from normdeploy.graph.edit import Editor
from normdeploy.graph.intra_channel_lrn import match_function
from normdeploy.graph.normalizations import is_lrn, lrn_of
from normdeploy.graph.opsets import BROADCASTING_OPSET, standard_opset
from normdeploy.graph.scopes import node_name
from normdeploy.lrn import LRN
from normdeploy.native_support import unsupported_reasons
from normdeploy.passes.lrn.lowerings import FORMS, QUOTIENT, Emitter, LoweringSite, applicable, quotient
from normdeploy.passes.lrn.specification import clip
from normdeploy.passes.report import LRNRecord, OptimizationReport, Refused

CHANNELS_PER_SIZE = 20
"""Up to this many channels for each element of the window, a banded Conv is faster than an AveragePool.

This and `LARGEST_BOX` are read off the table that benchmarks/lrn_forms.py prints, which times every form and
tells how much slower the chosen one is than the fastest: on two cores of an AMD EPYC with onnxruntime 1.32,
November 2026. What the choice gains is in benchmarks/results/lrn_ort_cpu.json.
"""

LARGEST_BOX = 3
"""Up to this size one depthwise Conv is faster than one for each axis."""


class LowerLRN(ir.passes.InPlacePass):
    """Replace the LRN nodes that the target computes faster in another form, or only in another form.

    Args:
        target: what the model is for.
        report: receives what became of each LRN.
    """

    def __init__(self, target: Target, report: OptimizationReport) -> None:
        super().__init__()
        self._target = target
        self._report = report

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        editor, modified = Editor(model.graph), False
        for graph in [model.graph, *model.graph.subgraphs()]:
            others = dict(graph.initializers)
            for node in list(graph):
                if is_lrn(node):
                    modified |= self._lower(node, editor.inside(graph), model)
            if len(graph.initializers) > len(others):
                _move_last(graph, others)
        match_function(model)
        return ir.passes.PassResult(model, modified)

    def _lower(self, node: ir.Node, editor: Editor, model: ir.Model) -> bool:
        opset = standard_opset(model.opset_imports)
        name = node_name(node)
        try:
            reason = _why_kept(node, self._target, opset)
        except Refused as refusal:
            reason = str(refusal)
        if reason is not None:
            self._record(name, "kept", reason)
            return False
        emitted, form = lower(node, editor, opset, self._target)
        self._record(name, "lowered", f"{form}: {_PURPOSE[self._target]}", emitted)
        return True

    def _record(self, name: str, status: str, reason: str, emitted: tuple[str, ...] = ()) -> None:
        """Note what became of a node, in the record of its recovery where it was recovered."""
        records = self._report.lrn
        for index, record in enumerate(records):
            if record.status == "recovered" and record.nodes[-1] == name:
                if set(emitted) == set(record.nodes):
                    records[index] = LRNRecord(record.nodes, "kept", f"it already is a {reason}")
                elif status == "lowered":
                    records[index] = dataclasses.replace(record, status="lowered", reason=reason)
                return
        records.append(LRNRecord((name,), "lowered" if status == "lowered" else "kept", reason))


def _move_last(graph: ir.Graph, initializers: dict[str, ir.Value]) -> None:
    """List these initializers last, so that the order is the same when an LRN is lowered again."""
    for name in initializers:
        del graph.initializers[name]
    graph.initializers.update(initializers)


_PURPOSE = {
    "portable": "",
    "ort-cpu": "what onnxruntime's CPU computes fastest",
    "tensorrt": "exact where TensorRT has no operator",
}


def _why_kept(node: ir.Node, target: Target, opset: int) -> str | None:
    """Why a node stays; None where it is to be lowered.

    Raises:
        Refused: it cannot be lowered.
    """
    if any(attribute.is_ref() for attribute in node.attributes.values()):
        raise Refused("its parameters come from the caller of the function that holds it")
    within = node.op_type != "LRN"
    spec, x = lrn_of(node), node.inputs[0]
    if spec is None:
        raise Refused("its parameters make no sense")
    rank = None if x is None or x.shape is None else len(x.shape)
    dtype = None if x is None or x.dtype is None else x.dtype.numpy().name
    if target != "ort-cpu" and within:
        return "the operator within a channel, which carries its body"
    reasons = {} if within else unsupported_reasons(spec, rank, dtype)
    if target == "portable" or (target == "tensorrt" and "tensorrt" not in reasons):
        missing = "; but ".join(f"{runtime} has none for it: {why}" for runtime, why in reasons.items())
        return f"the standard operator{'; but ' + missing if missing else ''}"
    if rank is None or dtype is None:
        raise Refused("the type and rank of its input are not known")
    if rank < 3:
        raise Refused(f"its input has rank {rank}, below 3")
    if opset < BROADCASTING_OPSET:
        raise Refused(f"other forms need opset {BROADCASTING_OPSET}, the model has {opset}")
    return None


def lower(
    node: ir.Node, editor: Editor, opset: int, target: Target, form: str | None = None
) -> tuple[tuple[str, ...], str]:
    """Put a graph of standard operators in the place of an LRN node; the last node keeps its name.

    Args:
        node: LRN or IntraChannelLRN.
        editor: of its graph.
        opset: of the model.
        target: what the model is for, which decides the form;
        form: unless it is given, by its name in `passes.lrn.lowerings.FORMS`.

    Returns:
        The new nodes' names, and the form.
    """
    x, prefix = node.inputs[0], node_name(node).removesuffix(QUOTIENT)
    assert x is not None
    assert x.shape is not None
    emit = Emitter(editor, node, prefix, opset)
    spec, channels = LRN.from_onnx(node), x.shape[1]
    static = channels if isinstance(channels, int) else None
    if spec.region == "across" and static is not None and target == "ort-cpu":
        spec = clip(spec, static) or spec
    wide_type = ir.DataType.DOUBLE if _computes_in_double(spec, x) else ir.DataType.FLOAT
    is_cast = x.dtype != wide_type
    wide = x
    if is_cast:
        wide = emit.node("Cast", [x], "wide", {"to": int(wide_type)})
        wide.type, wide.shape = ir.TensorType(wide_type), x.shape
    site = LoweringSite(wide, spec, len(x.shape), static, wide_type)
    form = form or choose(site, target)
    squares = emit.node("Mul", [wide, wide], "square")
    base = FORMS[form](emit, site, squares)
    if is_cast:
        inner = quotient(emit, site, base, editor.unique(f"{prefix}{QUOTIENT}"))
        quotients = inner.outputs[0]
        quotients.name, quotients.type, quotients.shape = inner.name, wide.type, wide.shape
        editor.graph.insert_before(node, inner)
        last = ir.node("Cast", [quotients], {"to": int(x.dtype or wide_type)}, name=node.name)
        emit.names.append(str(inner.name))
    else:
        last = quotient(emit, site, base, node.name)
    names = (*emit.names, node_name(node))
    editor.replace(node, last)
    return names, form


def _computes_in_double(spec: LRN, x: ir.Value) -> bool:
    return spec.region == "across" and x.dtype == ir.DataType.DOUBLE


def choose(site: LoweringSite, target: Target) -> str:
    """The name of the form that the target computes fastest.

    For TensorRT it is the one whose sums no tensor core rounds.
    """
    forms = applicable(site)
    if target == "tensorrt":
        return forms[-1]
    if "banded Conv" in forms and site.channels is not None:
        few = site.channels <= CHANNELS_PER_SIZE * site.spec.size
        return forms[0] if few else forms[1]
    if "depthwise Conv" in forms:
        return forms[0] if site.spec.size <= LARGEST_BOX else forms[1]
    return forms[0]
