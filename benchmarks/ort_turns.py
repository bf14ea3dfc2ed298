"""Time ONNX models in onnxruntime's CPU provider, in turn, so that what loads the machine loads all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime


def milliseconds(
    models: Mapping[str, onnx.ModelProto], feeds: Mapping[str, np.ndarray], seconds: float
) -> dict[str, float]:
    """Each model's median latency over rounds in which every one runs once; the outputs are compared.

    Idle threads of a session spin by default, and slow the next one: here they do not.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    sessions = {
        name: onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        for name, model in models.items()
    }
    expected: np.ndarray | None = None
    for name, session in sessions.items():  # warms up, too
        output = session.run(None, feeds)[0]
        expected = output if expected is None else expected
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-6, err_msg=name)
    times: dict[str, list[float]] = {name: [] for name in sessions}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(times.values()))) < 5:
        for name, session in sessions.items():
            start = time.perf_counter()
            session.run(None, feeds)
            times[name].append(time.perf_counter() - start)
    return {name: 1e3 * statistics.median(values) for name, values in times.items()}
