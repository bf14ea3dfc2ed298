"""A session that is kept from call to call."""

import numpy as np
import onnx
import pytest

from normdeploy.errors import BackendCrashed
from normdeploy.validation.invariants.sessions import KeptSession
from tests.builders import unary
from tests.validation.invariants.self_contradicting_backends import planted


def test_a_process_serves_until_it_fails_and_another_goes_on(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(unary("Exp", ["N", "T"]), path)
    right, odd = np.ones((1, 4), np.float32), np.ones((1, 3), np.float32)
    with KeptSession(planted("keeps_what_it_computed_before"), path, 300) as session:
        first, second = (session({"x": right})["y"] for _ in range(2))
        assert not np.array_equal(first, second)  # the same process
    with KeptSession(planted("aborts_at_odd_sizes"), path, 300) as session:
        np.testing.assert_array_equal(session({"x": right})["y"], first)
        with pytest.raises(BackendCrashed, match="SIGABRT"):
            session({"x": odd})
        np.testing.assert_array_equal(session({"x": right})["y"], first)


def test_a_session_that_was_never_asked_starts_nothing(tmp_path):
    with KeptSession(planted("right"), tmp_path / "missing.onnx", 300):
        pass
