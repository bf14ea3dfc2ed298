"""Fold BatchNormalization into the layers around it, and record each one with the reason.

BatchNormalization, and Mul, Add, Sub and Div by constants per channel, are affine maps. Those that follow
each other, a chain, are composed in float64 and folded as one: upstream into what computes their input, else
downstream into all that read their result. Where neither absorbs them, they become a single
BatchNormalization if there is one among them, and stay otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from normdeploy.graph.scopes import Scope, node_name, scopes
from normdeploy.passes.batchnorm.affine import Affine, AffineNode, compose, read_arithmetic, read_batchnorm
from normdeploy.passes.batchnorm.fold_plan import FoldPlan, narrowed, set_constant, wider_type
from normdeploy.passes.batchnorm.propagate import propagate_downstream, propagate_upstream
from normdeploy.passes.constants import Constants
from normdeploy.passes.report import BatchNormRecord, Refused


class FoldBatchNorm(ir.passes.InPlacePass):
    """Fold what can be folded exactly, in the main graph, in subgraphs and in functions.

    Args:
        model: as it is before any pass, so that nodes that others remove are reported too.
    """

    def __init__(self, model: ir.Model) -> None:
        super().__init__()
        self._records = {
            node: BatchNormRecord(node_name(node), "kept", where=scope.where)
            for scope in scopes(model)
            for node in scope.graph
            if _is_batchnorm(node)
        }

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        constants, modified = Constants(model), False
        for scope in scopes(model):
            modified |= _Folder(scope, constants, self._records).run()
        return ir.passes.PassResult(model, modified)

    def records(self) -> list[BatchNormRecord]:
        """What has become of each BatchNormalization."""
        return [
            replace(record, status="folded", reason="nothing uses it, or another node computes the same")
            if record.status == "kept" and node.graph is None
            else record
            for node, record in self._records.items()
        ]


class _Folder:
    """Folds in one scope, and notes in `records` what becomes of each BatchNormalization."""

    def __init__(self, scope: Scope, constants: Constants, records: dict[ir.Node, BatchNormRecord]) -> None:
        self._scope = scope
        self._constants = constants
        self._records = records
        self._read: dict[ir.Node, tuple[tuple[ir.Value | None, ...], AffineNode | None]] = {}
        """What was read of each node, with the inputs that it had then."""

    def run(self) -> bool:
        """Fold until nothing changes: what one fold removes can make room for another."""
        modified, changed = False, True
        while changed:
            changed = False
            for chain in self._chains():
                changed |= self._fold(chain)
            modified |= changed
        return modified

    def _chains(self) -> list[list[AffineNode]]:
        """The affine maps of the graph; those of which each one alone reads the one before, together."""
        chains: dict[ir.Node, list[AffineNode]] = {}
        for node in self._scope.graph:
            inputs = tuple(node.inputs)
            known, affine_node = self._read.get(node, (None, None))
            if known != inputs:
                affine_node = self._read_node(node)
                self._read[node] = inputs, affine_node
            if affine_node is None:
                continue
            source = affine_node.source
            producer = source.producer()
            alone = len(source.uses()) == 1 and not source.is_graph_output()
            chain = chains.get(producer) if producer is not None and alone else None
            if chain is None or chain[0].affine.channels != affine_node.affine.channels:
                chain = []
            chain.append(affine_node)
            chains[node] = chain
        return list({id(chain): chain for chain in chains.values()}.values())

    def _read_node(self, node: ir.Node) -> AffineNode | None:
        if not _is_batchnorm(node):
            return read_arithmetic(node, self._constants, self._scope.opset)
        try:
            return read_batchnorm(node, self._constants, self._scope.opset)
        except Refused as reason:
            self._keep(node, str(reason))
            return None

    def _fold(self, chain: Sequence[AffineNode]) -> bool:
        """Take a chain out of the graph, or make it shorter; whether that was possible."""
        affine = compose(chain)
        editor = self._scope.editor
        upstream = self._attempt(propagate_upstream, chain[0].source, affine)
        if isinstance(upstream, FoldPlan):
            self._record(chain, upstream.apply())
            for member in chain:
                editor.bypass(member.node, member.source)
            return True
        downstream = self._attempt(propagate_downstream, chain[-1].node.outputs[0], affine)
        if isinstance(downstream, FoldPlan):
            self._record(chain, downstream.apply())
            for member in chain:
                editor.skip(member.node, member.source)
            return True
        reason = f"{upstream}; {downstream}"
        for member in chain:
            if member.normalizes:
                self._keep(member.node, reason)
        return len(chain) > 1 and self._merge(chain, affine)

    def _attempt(
        self, propagate: Callable[[FoldPlan, ir.Value, Affine], None], value: ir.Value, affine: Affine
    ) -> FoldPlan | Refused:
        plan = FoldPlan(self._constants, self._scope)
        try:
            propagate(plan, value, affine)
        except Refused as reason:
            return reason
        return plan

    def _merge(self, chain: Sequence[AffineNode], affine: Affine) -> bool:
        """Make a chain one BatchNormalization: γ' = a·σ, β' = b + a·μ, with its own μ and σ.

        Behind other maps, μ becomes the mean of what they read.
        """
        place = next((index for index, member in enumerate(chain) if member.normalizes), None)
        if place is None:
            return False
        center = chain[place]
        mean = affine.mean if place else center.affine.mean
        node = center.node
        arrays = {
            1: ("scale", affine.scale * center.affine.deviation),
            2: ("bias", affine.shift + affine.scale * mean),
        }
        if place:
            var = self._constants.array(node.inputs[4])
            assert var is not None
            arrays |= {3: ("mean", mean), 4: ("variance", var.astype(np.float64))}
        plan = FoldPlan(self._constants, self._scope)
        try:
            for index, (what, array) in arrays.items():
                old = plan.parameter(node, index, what)
                assert old is not None
                plan.add(node, set_constant(node, index, narrowed(node, array, wider_type(node, old)), what))
        except Refused as reason:
            self._keep(node, f"{self._records[node].reason}; {reason}")
            return False
        self._record([member for member in chain if member is not center], plan.apply())
        for member in chain[:place]:
            self._scope.editor.skip(member.node, member.source)
        for member in chain[place + 1 :]:
            self._scope.editor.bypass(member.node, member.source)
        return True

    def _record(self, chain: Sequence[AffineNode], target: str) -> None:
        for member in chain:
            if member.normalizes:
                self._records[member.node] = BatchNormRecord(
                    node_name(member.node), "folded", into=target, where=self._scope.where
                )

    def _keep(self, node: ir.Node, reason: str) -> None:
        self._records[node] = BatchNormRecord(node_name(node), "kept", reason=reason, where=self._scope.where)


def _is_batchnorm(node: ir.Node) -> bool:
    return node.op_type == "BatchNormalization" and not node.domain
