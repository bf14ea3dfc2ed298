"""How operators act on the formulas of their inputs, each file with its table `RULES`.

arithmetic  elementwise: constants, squares, powers, roots, quotients; If on a known condition
layout      what moves elements or reads shapes: Reshape, Transpose, Slice, Concat, ...
windows     what pads and sums: Pad, AveragePool, Conv, reductions, CumSum
"""
