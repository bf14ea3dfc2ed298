"""The smallest file that still fails: a few nodes of a model with their data, and a text for an issue.

- reducer: `reduce`, from the model's file to the small one's.
- subjects: what fails, graphs or a backend; failures: whether a piece still does, and in the same way.
- samples: which samples fail; rows: which rows of a batch.
- pieces: nodes cut out of a model, on tensors that the reference computes.
- nodes: ever fewer nodes that a backend computes wrongly; graphs: those in which two graphs differ.
- shrinking: smaller tensors, and what else a piece can do without.
- writing: the files; again: what becomes of them in a fresh process; issue: the text; result.
"""

from normdeploy.validation.reduction.reducer import reduce
from normdeploy.validation.reduction.result import Reduction

__all__ = ["Reduction", "reduce"]
