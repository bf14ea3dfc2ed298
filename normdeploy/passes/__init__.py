"""Transforms of ONNX graphs: BatchNorm folded, LRN recovered."""

from normdeploy.passes.lrn.specification import Target
from normdeploy.passes.pipeline import Optimized, optimize, rewrite
from normdeploy.passes.report import BatchNormRecord, LRNRecord, OptimizationReport

__all__ = ["BatchNormRecord", "LRNRecord", "OptimizationReport", "Optimized", "Target", "optimize", "rewrite"]
