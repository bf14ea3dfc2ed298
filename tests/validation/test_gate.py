"""What may be lost."""

import pytest

from normdeploy.errors import UsageError
from normdeploy.validation.gate import given_gate


def test_no_gate_unless_asked_for():
    assert given_gate(None, None) is None


@pytest.mark.parametrize(
    ("max_flips", "flips", "met"),
    [
        *[(0, 0, True), (0, 1, False), ("3", 3, True), (3, 4, False)],
        *[("1%", 4, True), ("1%", 5, False), ("0.5%", 2, True), ("0.5%", 3, False)],
        *[("0%", 1, False), ("100%", 450, True)],
    ],
)
def test_flips_of_450_samples(max_flips, flips, met):
    gate = given_gate(max_flips, None)
    assert (gate.missed(flips, 450, None, None) == "") is met


@pytest.mark.parametrize(("accuracy", "met"), [(0.9, True), (0.89, True), (0.8899, False), (0.95, True)])
def test_an_accuracy_of_90_percent_before(accuracy, met):
    missed = given_gate(None, 0.01).missed(50, 450, accuracy, 0.9)
    assert (missed == "") is met
    assert met or missed == "the accuracy drops by 0.0101, from 90.00% to 88.99%, and 0.01 is allowed"


def test_both_are_said():
    missed = given_gate("1%", 0).missed(9, 450, 0.5, 0.75)
    assert missed.startswith(
        "9 of 450 samples flip, and at most 1% (4 samples) may; the accuracy drops by 0.25"
    )


def test_as_text_and_json():
    assert str(given_gate(3, None)) == "at most 3 flips"
    assert str(given_gate(1, None)) == "at most 1 flip"
    assert str(given_gate("1%", None)) == "at most 1% flips"
    assert str(given_gate("0.5%", 0.01)) == "at most 0.5% flips and an accuracy drop of at most 0.01"
    assert given_gate("0.50%", None).to_json() == {"max_flips": "0.5%", "max_accuracy_drop": None}
    assert given_gate(1000000, None).to_json()["max_flips"] == "1000000"


@pytest.mark.parametrize("max_flips", ["-1", "many", "0.5", "101%", "nan", "", "1e3", "%"])
def test_numbers_of_flips_that_make_no_sense(max_flips):
    with pytest.raises(UsageError, match="max flips is a number of samples or a percentage"):
        given_gate(max_flips, None)


@pytest.mark.parametrize("drop", [-0.1, 1.1, float("nan")])
def test_drops_that_make_no_sense(drop):
    with pytest.raises(UsageError, match="max accuracy drop is a share from 0 to 1"):
        given_gate(None, drop)
