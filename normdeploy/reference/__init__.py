"""The NumPy reference: what an ONNX model computes, in float64, free of a runtime's rounding.

`evaluate` and `Evaluator` are all that other packages need. The folder, from the call down::

    evaluator         runs a plan: tensors in scope, functions, subgraphs, errors that name the node
      inputs          the caller's arrays against the inputs that a graph declares
      execution_plan  which nodes, in which order, and when each tensor can go
      threads         one BLAS thread
    registry          (domain, operator, opset) -> the function that computes it
      signature       @operator: how a Python function stands for an ONNX operator
      delegated       rare operators that onnx's own evaluator computes
    dtypes            the reference's number types
    rounding          random errors of the size of rounding, added to every operation
      rounding_model  what rounding may do to one operator; stands at its definition

and the operators, by kind::

    elementwise  activation  logical            of single elements (the Softmax family along an axis)
    convolution  pooling  windows  linear       windows and products
    normalization  intra_channel_lrn            LRN, BatchNormalization and their kin
    reduction  resampling  recurrent            sums along axes, Resize, LSTM
    layout  indexing  generators  casting       arranged, picked, made, converted
    control_flow  sequences                     If, Loop, Scan; sequences of tensors, optionals
    vision  spectral                            boxes and warped images; spectra

and those that stand for a few others::

    composition                                 how a function writes the body of such a node
    fused  fused_attention  nhwc  nchwc         what onnxruntime's optimizer makes, blocked layouts too
    quantized                                   kernels of 8-bit integers

To add an operator, write a function in the module of its kind and mark it with its first opset and its
rounding model::

    @operator("Add", since=7, rounding=CORRECTLY_ROUNDED)
    def add(a: Array, b: Array) -> Array:

ONNX's own node tests then run on it (tests/reference/test_node_suite.py).
"""

from normdeploy.reference.evaluator import Evaluator, NodeObserver, evaluate

__all__ = ["Evaluator", "NodeObserver", "evaluate"]
