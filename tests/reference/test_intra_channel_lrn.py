"""LRN within a channel: by its function body, or by the operator where a model has none."""

from __future__ import annotations

import numpy as np
import pytest

from normdeploy import LRN, lrn
from normdeploy.graph.intra_channel_lrn import add_function
from normdeploy.graph.io import load
from normdeploy.reference import Evaluator
from tests.builders import parsed


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("with_body", [False, True])
def test_intra_channel_lrn_by_its_body_or_by_the_operator(size, with_body):
    model = parsed(f"""
    g (float[1, 2, 5, 6] x) => (float[1, 2, 5, 6] y) {{
        y = normdeploy.IntraChannelLRN <size = {size}, alpha = 0.5, beta = 0.75, bias = 1.5> (x)
    }}""")
    model = load(model)
    if with_body:
        add_function(model)
    x = np.random.default_rng(0).normal(size=(1, 2, 5, 6))
    seen = []
    y = Evaluator(model).run({"x": x}, on_node=lambda node, values: seen.append(node.op_type))["y"]
    assert seen == ["IntraChannelLRN"]
    np.testing.assert_allclose(y, lrn(x, LRN(size, 0.5, 0.75, 1.5, "within", "torch")), rtol=1e-12)
