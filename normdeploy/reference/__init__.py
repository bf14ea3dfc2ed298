"""The NumPy reference: what an ONNX model computes, in float64."""

from normdeploy.reference.evaluator import Evaluator, NodeObserver, evaluate

__all__ = ["Evaluator", "NodeObserver", "evaluate"]
