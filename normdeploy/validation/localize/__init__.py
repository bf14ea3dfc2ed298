"""Which node is the first whose own computation is wrong.

Marking every tensor of the deployed model as an output would answer it for another model: a runtime fuses
nodes only where nobody looks at what lies between them. The searches leave the model as it is:

- search: runs the others, in order.
- in_graph: the deployed graph against the original, both in float64, tensor by tensor; differences: which
  tensors differ at all.
- in_backend: nodes_alone, on the reference's tensors, then prefixes by bisection.

What they share: submodels (cutting nodes out of a model), execution (running them in a backend), judging
(comparing tensors), attempts (what becomes of parts that fail), result.
"""

from normdeploy.validation.localize.execution import runner
from normdeploy.validation.localize.judging import Judgement, by_rounding
from normdeploy.validation.localize.result import Divergence, How, Localization, NodeError
from normdeploy.validation.localize.search import localize_graphs, search_divergence

__all__ = [
    "Divergence",
    "How",
    "Judgement",
    "Localization",
    "NodeError",
    "by_rounding",
    "localize_graphs",
    "runner",
    "search_divergence",
]
