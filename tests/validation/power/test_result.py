"""The power of a check in words, in JSON and as a gate."""

import pytest

from normdeploy.errors import UsageError
from normdeploy.validation.power.result import LayerPower, Power, given_min_power

CONV, LRN, GEMM = (
    LayerPower("conv", "Conv", 2e-6),
    LayerPower("lrn", "LRN", 0.034),
    LayerPower("fc", "Gemm", None),
)


def test_every_layer_is_seen():
    power = Power([CONV, LRN])
    assert power.smallest_everywhere == 0.034
    assert [layer.node for layer in power.worst_first] == ["lrn", "conv"]
    assert str(power) == "power: errors from 3.4 % on would be seen in every layer; LRN 'lrn' shows least"
    assert power.to_json() == {
        "layers": [
            {"node": "conv", "op_type": "Conv", "smallest_detectable": 2e-6},
            {"node": "lrn", "op_type": "LRN", "smallest_detectable": 0.034},
        ],
        "smallest_everywhere": 0.034,
        "min_power": None,
    }
    assert not power.missed


def test_layers_that_are_not_seen():
    power = Power([CONV, GEMM, LRN])
    assert power.smallest_everywhere is None
    assert str(power) == "power: no error in Gemm 'fc' would be seen"
    assert str(Power([GEMM] * 3)) == "power: no error in Gemm 'fc' would be seen, nor in 2 other layers"
    assert str(Power([])) == "power: there is no layer, and no error to look for"


@pytest.mark.parametrize(
    ("layers", "min_power", "missed"),
    [
        ([CONV, LRN], 0.04, False),
        ([CONV, LRN], 0.034, False),
        ([CONV, LRN], 0.01, True),
        ([CONV, GEMM], 1.0, True),
        ([], 0.01, True),
    ],
)
def test_a_gate(layers, min_power, missed):
    assert Power(layers, min_power).missed is missed


def test_a_missed_gate_names_the_worst_layer():
    assert str(Power([], 0.01)).endswith("no error to look for, and --min-power asks for 1 %")
    assert str(Power([CONV, LRN], 0.01)).endswith("; LRN 'lrn' shows least, and --min-power asks for 1 %")
    assert str(Power([CONV, GEMM], 0.01)) == (
        "power: no error in Gemm 'fc' would be seen, and --min-power asks for 1 %"
    )


@pytest.mark.parametrize(
    ("given", "share"),
    [(0.01, 0.01), ("0.01", 0.01), ("1%", 0.01), ("1 %", 0.01), ("0.5%", 0.005), ("1e-3", 1e-3), (1, 1.0)],
)
def test_what_is_asked_for(given, share):
    assert given_min_power(True, given) == pytest.approx(share)


def test_nothing_is_asked_for():
    assert given_min_power(True, None) is given_min_power(False, None) is None


@pytest.mark.parametrize("given", [0, -1, 1.5, "150%", "x", "", "1.2.3", "%", "nan"])
def test_no_share(given):
    with pytest.raises(UsageError, match=r"min power is a relative error such as 0\.01 or 1%"):
        given_min_power(True, given)


def test_a_gate_without_a_measurement():
    with pytest.raises(UsageError, match="give --power too"):
        given_min_power(False, 0.01)
