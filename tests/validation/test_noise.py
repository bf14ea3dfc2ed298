"""Measured rounding: what it is, and how often it would call a right output wrong."""

import math

import numpy as np
import onnx
import pytest
from onnx import helper
from scipy import stats

from normdeploy.graph.inference import inferred
from normdeploy.reference import Evaluator
from normdeploy.reference.rounded_numbers import RoundedNumbers
from normdeploy.validation import noise
from normdeploy.validation.judge import Judge
from normdeploy.validation.noise import Arithmetic, RoundingNoise, factor
from tests.builders import FLOAT, model, parsed, unary
from tests.validation.networks import Network

MILLION = 10**6


def called_wrong(
    elements: int,
    *,
    runs: int = noise.RUNS,
    prior: int = noise._PRIOR_RUNS,
    amplified: int = noise._AMPLIFIED_RUNS,
    bin_size: int = noise._BIN,
    own: float = 1.0,
) -> tuple[float, float]:
    """How many elements of a right tensor are called wrong: by the first runs alone, and after all runs.

    An element's error and its deviations in the runs are normal, with variance 1; those of the others in its
    bin have variance 1/own. So K · mean(δ²) is χ²(K), and the bin's sum of squares that, plus χ²(K · others)
    / own, whose distribution is taken in 200 steps. The largest deviation of the amplified runs is that of so
    many normal numbers, times the factor.
    """
    bound, error = factor(elements), np.linspace(0, 14, 2001)
    shared = max(1, min(elements, bin_size))
    steps = (np.arange(200) + 0.5) / 200
    others = stats.chi2.ppf(steps, runs * (shared - 1)) / own if shared > 1 else np.zeros(1)
    weight = prior / (runs + prior) / (runs * shared)
    first = np.zeros_like(error)
    for sum_of_others in others:
        largest = ((error / bound) ** 2 - weight * sum_of_others) / (1 / (runs + prior) + weight)
        first += 2 * stats.norm.pdf(error) * stats.chi2.cdf(np.maximum(largest, 0), runs) / others.size
    both = first * (2 * stats.norm.cdf(error / bound) - 1) ** amplified
    step = error[1] - error[0]
    return elements * float(first.sum() * step), elements * float(both.sum() * step)


def test_the_factor_grows_with_the_number_of_elements():
    assert factor(1) == pytest.approx(4.29, abs=0.01)
    assert factor(MILLION) == pytest.approx(6.79, abs=0.01)


@pytest.mark.parametrize("elements", [1, 1000, MILLION])
def test_the_largest_of_normal_errors_exceeds_the_factor_with_less_than_p(elements):
    assert elements * 2 * stats.norm.sf(factor(elements)) < noise._PROBABILITY


@pytest.mark.parametrize(
    ("elements", "first", "both"), [(1, 0.023, 2.2e-5), (1000, 0.0022, 3.0e-5), (MILLION, 0.038, 3.8e-4)]
)
def test_the_runs_rarely_call_a_right_output_wrong(elements, first, both):
    """The numbers of the module's docstring."""
    assert called_wrong(elements) == (pytest.approx(first, rel=0.1), pytest.approx(both, rel=0.1))


@pytest.mark.parametrize(
    ("fewer", "first", "both"),
    [
        ({"prior": 2}, 0.91, 4e-3),
        ({"amplified": 4}, 0.038, 3.7e-3),
        ({"bin_size": 16}, 0.39, 1.6e-3),
        ({"bin_size": 256}, 0.018, 2.3e-4),
    ],
)
def test_other_numbers_of_runs_and_elements(fewer, first, both):
    """The numbers beside the constants, for a million elements."""
    assert called_wrong(MILLION, **fewer) == (pytest.approx(first, rel=0.1), pytest.approx(both, rel=0.1))


@pytest.mark.parametrize(("runs", "wrong"), [(1, 0.12), (noise.RUNS, 0.03)])
def test_runs_find_the_elements_that_round_more_than_others(runs, wrong):
    """One in a bin whose errors are five times those of the others."""
    assert called_wrong(64, runs=runs, own=25)[0] / 64 == pytest.approx(wrong, rel=0.15)


def test_what_is_reached_is_larger_than_what_is_allowed_at_first():
    """The largest of eight normal numbers without sign is 1.7 on average, and with it the second bound."""
    largest = np.abs(np.random.default_rng(0).standard_normal((100_000, noise._AMPLIFIED_RUNS))).max(axis=1)
    assert np.maximum(largest, 1).mean() == pytest.approx(1.7, abs=0.1)


def test_moderated_rounding_is_what_is_computed_with_above():
    """200,000 elements that round alike; σ² by the formula, from the same deviations and the same bins."""
    rng = np.random.default_rng(0)
    exact = np.sort(rng.uniform(1, 2, 200_000))
    deviations = np.abs(rng.standard_normal((noise.RUNS, exact.size)))
    own = np.square(deviations).sum(axis=0)
    shared = own.reshape(-1, noise._BIN).mean(axis=1).repeat(noise._BIN) / noise.RUNS
    expected = (own + noise._PRIOR_RUNS * shared) / (noise.RUNS + noise._PRIOR_RUNS)
    np.testing.assert_allclose(np.square(noise.moderated(exact, list(deviations))), expected, rtol=1e-12)


def test_what_one_run_calls_right_three_call_right():
    """The bound of the module's docstring: reached where further runs move nothing, and never passed."""
    rng = np.random.default_rng(0)
    exact = np.sort(rng.uniform(1, 2, 10_000))
    runs = [
        np.abs(rng.standard_normal(exact.size)) * rng.integers(0, 2, exact.size) for _ in range(noise.RUNS)
    ]
    nothing = [runs[0], *[np.zeros_like(exact)] * (noise.RUNS - 1)]
    one = noise.moderated(exact, runs[:1])
    for further in (runs, nothing):
        assert (noise.moderated(exact, further) >= noise.ONE_RUN_TELLS * one * (1 - 1e-12)).all()
    alone = runs[0] == 0  # they have nothing but their share of others
    np.testing.assert_allclose(noise.moderated(exact, nothing)[alone] / one[alone], noise.ONE_RUN_TELLS)


def test_a_clearly_right_output_takes_one_disturbed_run_and_a_doubtful_one_three(monkeypatch):
    network = Network(softmax=False)
    evaluator = Evaluator(inferred(network.model()))
    judge, inputs, disturbed = Judge(evaluator, evaluator), network.inputs(0), []
    run = evaluator.run

    def counted(inputs, outputs=None, on_node=None, rounding=None, **others):
        disturbed.append(rounding is not None)
        return run(inputs, outputs, on_node, rounding, **others)

    monkeypatch.setattr(evaluator, "run", counted)
    case = judge.on(inputs)
    ((name, right),) = case.expected.items()
    assert not case.compare(name, right.astype(np.float32)).wrong
    assert disturbed == [False, True]
    sigma = RoundingNoise(evaluator, inputs, 0).expected(name)
    del disturbed[:]
    assert not case.compare(name, right + 0.7 * factor(right.size) * sigma).wrong
    assert disturbed == [True] * (noise.RUNS - 1)


def test_a_bin_knows_its_rounding_to_ten_percent():
    rng = np.random.default_rng(0)
    bins = np.square(rng.standard_normal((20_000, noise._BIN * noise.RUNS))).mean(axis=1)
    assert bins.std() == pytest.approx(0.10, abs=0.005)


def test_elements_of_a_size_share_their_rounding_and_others_do_not():
    """Small elements that happened to have no error are given that of others of their size."""
    exact = np.concatenate([np.full(64, 1.0), np.full(64, 1000.0)])
    deviation = np.concatenate([np.full(64, 1e-7), np.full(64, 1e-4)])
    deviation[[0, 64]] = 0
    sigma = noise.moderated(exact, [deviation] * noise.RUNS)
    assert sigma[0] == pytest.approx(math.sqrt(4 / 7) * 1e-7, rel=0.01)
    assert sigma[64] == pytest.approx(math.sqrt(4 / 7) * 1e-4, rel=0.01)


def measured(proto: onnx.ModelProto, inputs, seed: int = 0, **options) -> RoundingNoise:
    return RoundingNoise(Evaluator(inferred(proto)), inputs, seed, **options)


def test_the_rounding_of_one_operation_is_about_a_unit_roundoff_of_its_result():
    x = np.random.default_rng(0).uniform(0.5, 2.0, (1, 4096)).astype(np.float32)
    found = measured(unary("Sqrt", ["N", 4096]), {"x": x}).expected("y")
    relative = found / np.sqrt(x) / 2.0**-24
    assert 0.3 < np.sqrt(np.mean(np.square(relative))) < 2


def test_the_seed_decides():
    network = Network()
    first, again, other = (
        measured(network.model(), network.inputs(0), seed).expected("probabilities") for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_weights_of_another_file_round_too():
    """A number that float32 holds, times 1, has no other error."""
    proto = parsed("g (float[N, 2] x) => (float[N, 2] y) <float[2] w = {0.1, 3.0}> { y = Mul (x, w) }")
    inputs = {"x": np.ones((200, 2), np.float32)}
    own = measured(proto, inputs).expected("y")
    evaluator = Evaluator(inferred(proto))
    numbers = RoundedNumbers(frozenset(evaluator.model.graph.initializers.values()))
    another = RoundingNoise(evaluator, inputs, 0, arithmetic=Arithmetic(numbers)).expected("y")
    assert not own.any()
    assert 0.1 < np.median(another / [0.1, 3.0]) / 2.0**-24 < 3


def test_what_amplified_rounding_reaches():
    """Floating outputs: how far; integers: which of them rounding can change."""
    proto = model(
        [
            helper.make_node("Sqrt", ["x"], ["scores"]),
            helper.make_node("ArgMax", ["scores"], ["class"], axis=1, keepdims=0),
        ],
        {"x": (FLOAT, [2, 3])},
        {"scores": (FLOAT, [2, 3]), "class": (onnx.TensorProto.INT64, [2])},
    )
    x = np.array([[4.0, 4.0 + 1e-6, 0.0], [9.0, 1.0, 0.0]], np.float32)
    found = measured(proto, {"x": x})
    assert found.reach("class").tolist() == [1, 0]
    reached, irrational = found.reach("scores"), x == x[0, 1]
    assert (reached[irrational] > found.expected("scores")[irrational]).all()
    assert (reached[~irrational] == 0).all(), "roots that the type holds exactly"


def test_a_number_of_rows_that_depends_on_rounding_reaches_everything():
    """NonZero of what rounding moves above 0."""
    proto = model(
        [
            helper.make_node("Sub", ["x", "y"], ["d"]),
            helper.make_node("Relu", ["d"], ["r"]),
            helper.make_node("NonZero", ["r"], ["where"]),
        ],
        {"x": (FLOAT, [64]), "y": (FLOAT, [64])},
        {"where": (onnx.TensorProto.INT64, [1, None])},
    )
    x = np.random.default_rng(0).uniform(1, 2, 64).astype(np.float32)
    y = np.nextafter(x, np.where(np.arange(64) % 2, 0, 3).astype(np.float32))
    proto.graph.node[0].CopyFrom(helper.make_node("Sub", ["s", "t"], ["d"]))
    for name, result in (("x", "s"), ("y", "t")):
        proto.graph.node.insert(0, helper.make_node("Mul", [name, "third"], [result]))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(1 / 3, np.float32), "third"))
    assert np.isinf(measured(proto, {"x": x, "y": y}).reach("where")).all()
