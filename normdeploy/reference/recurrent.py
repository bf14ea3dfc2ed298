"""RNN, GRU and LSTM.

T: steps, N: batch, I: input size, H: hidden size, D: directions, G: gates (1, 3, 4).
x: (T, N, I), w: (D, G·H, I), r: (D, G·H, H), b: (D, 2·G·H), initial states: (D, N, H)
-> y: (T, D, N, H), last states: (D, N, H). With layout=1 the batch comes first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from normdeploy.budget import check_budget, require_memory
from normdeploy.dtypes import Array
from normdeploy.reference.activation import hard_sigmoid, leaky_relu, relu, sigmoid, softplus, softsign
from normdeploy.reference.indexing import reverse_sequence
from normdeploy.reference.rounding_model import Deviation, Keywords, RoundingModel, relative_to_terms
from normdeploy.reference.signature import operator

_Activation = Callable[[Array], Array]
_States = tuple[Array, ...]
_Cell = Callable[[Array, _States, int, Sequence[_Activation]], _States]
"""(x of one step, states, direction, activations) -> states, the hidden one first."""

_ACTIVATIONS: dict[str, _Activation] = {
    "Relu": relu,
    "Tanh": np.tanh,
    "Sigmoid": sigmoid,
    "Softsign": softsign,
    "Softplus": softplus,
    "HardSigmoid": hard_sigmoid,
    "LeakyRelu": leaky_relu,
}


def _weights(keywords: Keywords, inputs: Sequence[Any]) -> Sequence[Deviation | None]:
    """Errors of each step's x Wᵀ + h Rᵀ + b, as errors of W, R and b: they pass on as states do."""
    deviation = Deviation(relative_to_terms(inputs[1].shape[2] + inputs[2].shape[2]))
    return (None, deviation, deviation, Deviation(1.0))


def _states_of(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    """Those of the activations, of results of about 1, and of the sums of states after them at each step."""
    steps = inputs[0].shape[1 if keywords.get("layout", 0) else 0]
    return (Deviation(1.0, 2.0 + 0.3 * math.sqrt(steps)),)


_ROUNDING = RoundingModel(_states_of, _weights)


@operator("RNN", since=7, rounding=_ROUNDING)
def rnn(
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
    *,
    activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None,
    activations: Sequence[str] = ("Tanh", "Tanh"),
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
) -> Sequence[Array]:
    """h' = f(x Wᵀ + h Rᵀ + b)."""
    _require_plain(activation_alpha, activation_beta)
    bias = _bias(b, r).sum(axis=1)

    def cell(step: Array, states: _States, d: int, f: Sequence[_Activation]) -> _States:
        (h,) = states
        return (f[0](_clipped(step @ w[d].T + h @ r[d].T + bias[d], clip)),)

    return _recur(x, r, sequence_lens, [initial_h], direction, layout, activations, 1, cell)


@operator("GRU", since=7, rounding=_ROUNDING)
def gru(
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
    *,
    activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None,
    activations: Sequence[str] = ("Sigmoid", "Tanh", "Sigmoid", "Tanh"),
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
    linear_before_reset: int = 0,
) -> Sequence[Array]:
    """Gates z (update), r (reset), h (hidden): h' = (1 − z) · h̃ + z · h."""
    _require_plain(activation_alpha, activation_beta)
    size = r.shape[-1]
    bias = _bias(b, r)

    def cell(step: Array, states: _States, d: int, f: Sequence[_Activation]) -> _States:
        (h,) = states
        from_x = step @ w[d].T + bias[d, 0]
        both = from_x[:, : 2 * size] + h @ r[d, : 2 * size].T + bias[d, 1, : 2 * size]
        update, reset = np.split(f[0](_clipped(both, clip)), 2, axis=1)
        weights, offset = r[d, 2 * size :].T, bias[d, 1, 2 * size :]
        recurrent = reset * (h @ weights + offset) if linear_before_reset else (reset * h) @ weights + offset
        candidate = f[1](_clipped(from_x[:, 2 * size :] + recurrent, clip))
        return ((1 - update) * candidate + update * h,)

    return _recur(x, r, sequence_lens, [initial_h], direction, layout, activations, 2, cell)


@operator("LSTM", since=7, rounding=_ROUNDING)
def lstm(
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
    initial_c: Array | None = None,
    p: Array | None = None,
    *,
    activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None,
    activations: Sequence[str] = ("Sigmoid", "Tanh", "Tanh", "Sigmoid", "Tanh", "Tanh"),
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
    layout: int = 0,
) -> Sequence[Array]:
    """Gates i (input), o (output), f (forget), c (cell); peepholes p: (D, 3·H) for i, o, f."""
    _require_plain(activation_alpha, activation_beta)
    bias = _bias(b, r).sum(axis=1)
    peepholes = np.zeros((len(r), 3, r.shape[-1])) if p is None else p.reshape(len(r), 3, -1)

    def cell(step: Array, states: _States, d: int, f: Sequence[_Activation]) -> _States:
        h, c = states
        at_input, at_output, at_forget, at_cell = np.split(step @ w[d].T + h @ r[d].T + bias[d], 4, axis=1)
        gate = f[0](_clipped(at_input + peepholes[d, 0] * c, clip))
        forget = 1 - gate if input_forget else f[0](_clipped(at_forget + peepholes[d, 2] * c, clip))
        c = forget * c + gate * f[1](_clipped(at_cell, clip))
        return f[0](_clipped(at_output + peepholes[d, 1] * c, clip)) * f[2](c), c

    return _recur(x, r, sequence_lens, [initial_h, initial_c], direction, layout, activations, 3, cell)


def _recur(
    x: Array,
    r: Array,
    sequence_lens: Array | None,
    initial: Sequence[Array | None],
    direction: str,
    layout: int,
    activations: Sequence[str],
    per_direction: int,
    cell: _Cell,
) -> Sequence[Array]:
    """Run the cell over the steps of each direction; past a sequence's end y is 0 and the states stay."""
    if layout:
        x = x.swapaxes(0, 1)
        initial = [None if state is None else state.swapaxes(0, 1) for state in initial]
    steps, batch = x.shape[:2]
    directions, hidden = r.shape[0], r.shape[-1]
    for state in initial:
        if state is not None and state.shape != (directions, batch, hidden):
            raise ValueError(f"initial states are {state.shape}, not {(directions, batch, hidden)}")
    lengths = np.full(batch, steps) if sequence_lens is None else sequence_lens
    require_memory((2, steps, directions, batch, hidden))
    y = np.zeros((steps, directions, batch, hidden))
    last = [np.zeros((directions, batch, hidden)) for _ in initial]
    for d in range(directions):
        backwards = direction == "reverse" or d == 1
        functions = [_activation(name) for name in activations[d * per_direction : (d + 1) * per_direction]]
        sequence = reverse_sequence(x, lengths) if backwards else x
        states: _States = tuple(np.zeros((batch, hidden)) if state is None else state[d] for state in initial)
        hidden_states = np.zeros((steps, batch, hidden))
        for t in range(steps):
            check_budget()
            running = (t < lengths)[:, None]
            updated = cell(sequence[t], states, d, functions)
            states = tuple(np.where(running, new, old) for new, old in zip(updated, states, strict=True))
            hidden_states[t] = np.where(running, states[0], 0.0)
        y[:, d] = reverse_sequence(hidden_states, lengths) if backwards else hidden_states
        for result, state in zip(last, states, strict=True):
            result[d] = state
    if layout:
        return [y.transpose(2, 0, 1, 3), *(state.swapaxes(0, 1) for state in last)]
    return [y, *last]


def _activation(name: str) -> _Activation:
    if name not in _ACTIVATIONS:
        raise NotImplementedError(f"activation '{name}'")
    return _ACTIVATIONS[name]


def _bias(b: Array | None, r: Array) -> Array:
    """(D, 2, G·H): what is added to the input's and to the hidden state's product."""
    return np.zeros((len(r), 2, r.shape[1])) if b is None else b.reshape(len(r), 2, -1)


def _clipped(x: Array, clip: float | None) -> Array:
    return x if clip is None else np.clip(x, -clip, clip)


def _require_plain(alpha: Sequence[float] | None, beta: Sequence[float] | None) -> None:
    if alpha or beta:
        raise NotImplementedError("activation_alpha and activation_beta")
