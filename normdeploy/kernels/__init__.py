"""Kernels that may compute a model where it is deployed, emulated in NumPy.

ONNX says what an operator means and in which types its tensors are stored. It leaves open in which type a
kernel squares and sums inside, in which order, and what it does with tiny numbers. `catalog` lists what is
known, with who chooses it and where that is written; `arithmetic` computes a graph with any of these choices.
"""

from normdeploy.kernels.arithmetic import KernelArithmetic, MadeFor
from normdeploy.kernels.catalog import CHOICES
from normdeploy.kernels.choice import KernelChoice, Maker
from normdeploy.kernels.rounded_once import RoundedOnce

__all__ = ["CHOICES", "KernelArithmetic", "KernelChoice", "MadeFor", "Maker", "RoundedOnce"]
