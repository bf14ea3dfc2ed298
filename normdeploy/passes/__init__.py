"""Transforms of ONNX graphs: BatchNorm folded, LRN recovered."""

from normdeploy.passes.lrn.sites import Target
from normdeploy.passes.pipeline import Optimized, optimize, rewrite
from normdeploy.passes.report import BatchNormRecord, LRNRecord, Report

__all__ = ["BatchNormRecord", "LRNRecord", "Optimized", "Report", "Target", "optimize", "rewrite"]
