"""BatchNormalization and the constant scales beside it, folded into the layers before or after them."""

from normdeploy.passes.batchnorm.fold import FoldBatchNorm

__all__ = ["FoldBatchNorm"]
