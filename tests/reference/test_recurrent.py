"""Recurrent layers against torch in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from normdeploy.reference import recurrent
from tests.reference.against_torch import assert_close


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_recurrent_layers(kind, bidirectional):
    torch.manual_seed(0)
    module = getattr(torch.nn, kind)(4, 3, bidirectional=bidirectional, dtype=torch.float64)
    x = torch.randn(6, 2, 4, dtype=torch.float64)
    states = [torch.randn(1 + bidirectional, 2, 3, dtype=torch.float64) for _ in range(1 + (kind == "LSTM"))]
    expected, _ = module(x, tuple(states) if kind == "LSTM" else states[0])
    # torch's order of gates to ONNX's
    order = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 3, 1, 2]}[kind]

    def stacked(name):
        suffixes = ["_l0", "_l0_reverse"][: 1 + bidirectional]
        parts = [getattr(module, name + suffix).detach().numpy() for suffix in suffixes]
        return np.stack([np.concatenate([np.split(part, len(order))[i] for i in order]) for part in parts])

    extra = {"linear_before_reset": 1} if kind == "GRU" else {}
    y, *_ = getattr(recurrent, kind.lower())(
        x.numpy(),
        stacked("weight_ih"),
        stacked("weight_hh"),
        np.concatenate([stacked("bias_ih"), stacked("bias_hh")], axis=1),
        None,
        *(state.numpy() for state in states),
        direction="bidirectional" if bidirectional else "forward",
        **extra,
    )
    # (T, D, N, H) -> (T, N, D * H)
    assert_close(y.transpose(0, 2, 1, 3).reshape(6, 2, -1), expected.detach())


def test_states_of_another_batch_are_refused():
    """Runtimes refuse them too, where NumPy would take one row's state for every row."""
    x, w, r = (np.zeros(shape) for shape in ((2, 3, 4), (1, 5, 4), (1, 5, 5)))
    with pytest.raises(ValueError, match=r"initial states are \(1, 1, 5\), not \(1, 3, 5\)"):
        recurrent.rnn(x, w, r, None, None, np.zeros((1, 1, 5)))
