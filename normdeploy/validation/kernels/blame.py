"""The nodes that make a trial fail."""

from __future__ import annotations

import onnx_ir as ir

from normdeploy.budget import restart_clock
from normdeploy.graph.scopes import node_name
from normdeploy.reference import Evaluator
from normdeploy.validation.kernels.parts import Kept
from normdeploy.validation.kernels.plan import Plan
from normdeploy.validation.kernels.result import Culprit
from normdeploy.validation.kernels.trial import Trial, computed
from normdeploy.validation.kernels.witness import Overflows, Sighting, Witness

_SUSPECTS = 8
"""Nodes that are tried alone, at most."""

_NAMED = 3
"""Nodes that are named, at most."""


def culprits(trial: Trial, evaluator: Evaluator, plan: Plan) -> list[Culprit]:
    """The nodes for which alone a choice is too much; if there are none, those that it changes most.

    Each node's results are compared with those of the best kernel on the same inputs. Those that lose most
    are then tried alone, a choice at a time.

    Args:
        trial: that has failed.
        evaluator: of the model.
        plan: of the trials.
    """
    if trial.worst is None:
        return []
    witness = Witness()
    restart_clock()
    computed(evaluator, trial.worst, trial.made, on_kernel=witness.on_kernel)
    changed = [node for node, sighting in witness.seen.items() if any(sighting.badness)]
    changed.sort(key=lambda node: witness.seen[node].badness, reverse=True)
    suspects = changed[:_SUSPECTS]
    kept = Kept(frozenset().union(*(plan.behind([node]) for node in suspects if _is_outer(node, evaluator))))
    restart_clock()
    computed(evaluator, trial.worst, on_node=kept.on_node)
    found: list[Culprit] = []
    for node in suspects:
        given = kept.of(plan.behind([node])) if _is_outer(node, evaluator) else {}
        for made in trial.made:
            wrong, ratio = trial.alone(node, made, given) if made.includes(node) else (False, 0.0)
            if wrong:
                found.append(_culprit(node, made.choice.name, witness.seen[node], True, ratio))
        if len(found) >= _NAMED:
            return found[:_NAMED]
    return found or [
        _culprit(node, trial.name, witness.seen[node], False, trial.noise_ratio) for node in suspects[:_NAMED]
    ]


def overflowing(seen: Overflows, ratio: float) -> list[Culprit]:
    """The first nodes whose results leave their type with any kernel.

    Args:
        seen: what overflowed.
        ratio: of the outputs' errors to what is allowed.
    """
    return [_culprit(node, "", sighting, False, ratio) for node, sighting in list(seen.seen.items())[:_NAMED]]


def _is_outer(node: ir.Node, evaluator: Evaluator) -> bool:
    return node.graph is evaluator.model.graph


def _culprit(node: ir.Node, choice: str, sighting: Sighting, alone: bool, ratio: float) -> Culprit:
    return Culprit(node_name(node), node.op_type, choice, str(sighting), alone, ratio)
