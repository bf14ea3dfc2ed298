"""What half precision would do to the normalization layers of a model.

- extents: the arithmetic, on arrays: how large sums of squares become, and what float16 loses of them.
- findings: the layers of a model, from its weights or from data, each with its problem and what to do.
"""
