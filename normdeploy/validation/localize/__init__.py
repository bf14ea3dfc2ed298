"""Which node is the first whose own computation is wrong.

Marking every tensor of the deployed model as an output would answer it for another model: a runtime fuses
nodes only where nobody looks at what lies between them. The searches leave the model as it is:

- search: runs the others, in order.
- in_graph: the deployed graph against the original, both in float64, tensor by tensor.
- in_backend: nodes alone on the reference's tensors, then prefixes by bisection.

What they share: submodels (cutting nodes out of a model), execution (running them in a backend), judging
(comparing tensors), sizes (how much memory they take), result.
"""

from normdeploy.validation.localize.execution import runner
from normdeploy.validation.localize.judging import CompareTensors, comparison_by
from normdeploy.validation.localize.result import Divergence, How, Localization, NodeError
from normdeploy.validation.localize.search import search_divergence

__all__ = [
    "CompareTensors",
    "Divergence",
    "How",
    "Localization",
    "NodeError",
    "comparison_by",
    "runner",
    "search_divergence",
]
