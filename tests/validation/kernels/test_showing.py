"""The kernels as lines, as a section of a page and as JSON."""

from __future__ import annotations

import json
import math

from normdeploy.pages import Page
from normdeploy.validation.kernels.page import add_kernels
from normdeploy.validation.kernels.result import Culprit, Kernels, KernelVerdict, Tried
from normdeploy.validation.kernels.text import lines

NODES = (
    Culprit("norm1", "LRN", "half-lrn", "7 of 9 results become 0", True, 96.0),
    Culprit("<b>", "Conv", "together", "results are off", False, 1.5),
)
CHOICES = (
    Tried("half-lrn", False, "output 'y': 3 of 4 elements are wrong", math.inf),
    Tried("tf32", True, "", 0.25),
)
SAFE = KernelVerdict("onnxruntime", "safe", "right with tf32", (), CHOICES[1:])
DEPENDS = KernelVerdict("tensorrt", "depends", "not with half-lrn", NODES, CHOICES)
SAME = KernelVerdict("tensorrt-rtx", "depends", "not with half-lrn", NODES, CHOICES)
FOUND = Kernels([DEPENDS, SAFE, SAME])


def test_backends_with_the_same_answer_share_a_line():
    assert [line.plain for line in lines(FOUND)] == [
        "kernels of tensorrt, tensorrt-rtx depends: not with half-lrn",
        "  norm1 (LRN, half-lrn): 7 of 9 results become 0; error / allowed 96",
        "  <b> (Conv, together): results are off; error / allowed 1.5, of all together",
        "kernels of onnxruntime safe: right with tf32",
    ]
    assert [line.style for line in lines(FOUND)] == ["red", "red", "red", ""]


def test_the_json_has_plain_types():
    entries = json.loads(json.dumps(FOUND.to_json(), allow_nan=False))
    assert [entry["verdict"] for entry in entries] == ["depends", "safe", "depends"]
    assert entries[0]["nodes"][0] == {
        "node": "norm1",
        "op_type": "LRN",
        "choice": "half-lrn",
        "reason": "7 of 9 results become 0",
        "alone": True,
        "noise_ratio": 96.0,
    }
    assert entries[0]["choices"][0]["noise_ratio"] is None
    assert entries[1]["nodes"] == []


def test_safe_means_every_backend():
    assert not FOUND.safe
    assert Kernels([SAFE]).safe


def test_the_page_tells_verdicts_choices_and_nodes():
    page = Page("normdeploy check", "model")
    add_kernels(page, FOUND)
    text = page.html()
    assert "<h2" in text
    assert "squares, window sums and powers inside LRN" in text
    assert "&lt;b&gt;" in text
    assert "<b>" not in text


def test_a_page_of_nothing_to_say_has_no_empty_tables():
    page = Page("normdeploy check", "model")
    add_kernels(page, Kernels([KernelVerdict("onnxruntime", "safe", "no choice concerns it")]))
    assert page.html().count("<table") == 1


def test_what_is_said_of_several_backends_stands_on_the_page_once():
    page = Page("normdeploy check", "model")
    add_kernels(page, FOUND)
    text = page.html()
    assert text.count("7 of 9 results become 0") == 1
    assert "tensorrt, tensorrt-rtx" in text
    assert "tensorrt, onnxruntime, tensorrt-rtx" in text  # all with tf32
