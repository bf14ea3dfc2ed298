"""Local response normalization in graphs: what computes one, and how each target computes it best.

recovery, from the graph that an exporter wrote to an operator:
    interpreter    each tensor as a formula of the tensor that is normalized
    rules/         how operators act on formulas: arithmetic, layout, windows
    window_sums    the formula of a tensor that holds sums over windows
    axis_map       what happens along one axis of it: a linear map
    specification  the operator that computes the formula of the result, or why there is none
lowering, from an operator to the graph that a target computes fastest:
    lowerings      graphs that compute an LRN exactly

`passes.recover_lrn` and `passes.lower_lrn` apply them to a model.
"""
