"""BatchNormalization and the constant scales beside it, folded into the layers before or after them.

affine     the affine map per channel that a node computes, and the composition of several
fold       finds chains of such nodes, has them folded, records each BatchNormalization with the reason
propagate  carries a map upstream or downstream to the layers that absorb it
commute    the nodes that a map can pass on the way
absorb     the layers that absorb it, and how their parameters change
fold_plan  the edits, planned first and made together; what rounding may cost
"""

from normdeploy.passes.batchnorm.fold import FoldBatchNorm

__all__ = ["FoldBatchNorm"]
