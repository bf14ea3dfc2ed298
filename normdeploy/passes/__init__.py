"""Transforms of ONNX graphs: BatchNorm folded, LRN recovered and lowered.

pipeline           the transforms in order: `optimize`, and `rewrite` in place
report, text       what became of each normalization, as data and in words
verify             the model before and after, computed on random inputs and compared
batchnorm/         BatchNorm folded into the layers around it
recover_lrn        one LRN in the place of each that an exporter decomposed, with what lrn/ finds out
lower_lrn          LRN as the graph that a target computes fastest, with the forms in lrn/
resolve_cast_like  CastLike as Cast, which depends on no tensor
remove_identities  Identity and inference Dropout taken out
fold_constants     what does not depend on the inputs, computed once
merge_duplicates   one node where several compute the same
constants          the arrays of constant tensors
"""

from normdeploy.choices import Target
from normdeploy.passes.pipeline import Optimized, Progress, optimize, rewrite, silent
from normdeploy.passes.report import BatchNormRecord, LRNRecord, OptimizationReport

__all__ = [
    "BatchNormRecord",
    "LRNRecord",
    "OptimizationReport",
    "Optimized",
    "Progress",
    "Target",
    "optimize",
    "rewrite",
    "silent",
]
