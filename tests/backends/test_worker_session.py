"""Worker processes: what they carry, and that nothing they do harms the process that started them."""

import contextlib
import gc
import os
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from normdeploy.backends import worker_session
from normdeploy.backends.worker_session import WorkerSession
from normdeploy.errors import BackendFailure, BackendTimeout

GIB = 2.0**30
PATIENCE = 300
"""Seconds, for what does not hang."""


def start(
    name: str, timeout: float = PATIENCE, memory_limit: float = 4 * GIB, model: Path = Path("model.onnx")
) -> WorkerSession:
    factory = f"tests.backends.misbehaving_backends:{name}"
    return WorkerSession(factory, model, timeout, memory_limit=memory_limit)


def run(session: WorkerSession) -> dict:
    session.ready()
    return session.run({"x": np.ones(3, np.float32)})


def failure_of(name: str, memory_limit: float = 4 * GIB) -> BackendFailure:
    with start(name, memory_limit=memory_limit) as session, pytest.raises(BackendFailure) as caught:
        run(session)
    assert not is_running(session._process.pid)
    assert "\n" not in caught.value.reason
    return caught.value


def is_running(pid: int) -> bool:
    """Whether a process exists and is not a zombie that somebody else has to collect."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


ARRAYS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "bfloat16": np.array([1.5, -2, np.nan], ml_dtypes.bfloat16),
    "float8": np.array([[1.5], [-2]], ml_dtypes.float8_e4m3fn),
    "int4": np.array([1, -2], ml_dtypes.int4),
    "bool": np.array([True, False]),
    "scalar": np.array(7, np.int64),
    "empty": np.zeros((0, 3), np.float64),
    "text": np.array([["a", "grüße\n"]], dtype=object),
    "strided": np.arange(10, dtype=np.uint8)[::3],
    "complex": np.array([1 + 2j]),
}


@pytest.fixture(scope="module")
def echo():
    with start("echo") as session:
        session.ready()
        yield session


def test_every_type_survives_the_journey(echo):
    returned = echo.run(ARRAYS)
    assert list(returned) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert returned[name].dtype == array.dtype
        assert returned[name].shape == array.shape
        if name == "text":
            assert (returned[name] == array).all()
        else:
            assert returned[name].tobytes() == array.tobytes()


def test_arrays_larger_than_a_pipe(echo):
    array = np.random.default_rng(0).integers(0, 255, (3, 1000, 1000), dtype=np.uint8)
    assert (echo.run({"x": array})["x"] == array).all()


def test_versions(echo):
    assert echo.versions == {"echo": "1.0"}


def test_noise_on_standard_output_does_not_reach_the_protocol():
    with start("noisy") as session:
        session.ready()
        for _ in range(3):
            assert session.run({"x": np.ones(3)})["x"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "signal_name"),
    [
        ("aborts_on_load", "SIGABRT"),
        ("aborts", "SIGABRT"),
        ("segfaults", "SIGSEGV"),
        ("is_killed", "SIGKILL"),
    ],
)
def test_a_signal_is_a_crash_with_its_name(name, signal_name):
    failure = failure_of(name)
    assert failure.status == "crashed"
    assert signal_name in failure.reason


def test_the_log_of_a_crash_is_kept():
    assert (
        "terminate called after throwing an instance of 'std::logic_error'"
        in failure_of("aborts_on_load").log
    )


def test_an_exit_is_a_crash():
    failure = failure_of("exits")
    assert failure.status == "crashed"
    assert "status 7" in failure.reason


def test_a_model_that_never_loads_is_a_timeout():
    with start("hangs_on_load", timeout=0.5) as session, pytest.raises(BackendTimeout) as caught:
        session.ready()
    assert caught.value.reason == "loading the model took longer than the time limit of 0.5 s"
    assert not is_running(session._process.pid)


def test_a_run_that_never_ends_is_a_timeout():
    with start("hangs") as session:
        session.ready()
        session.timeout = 0.2
        with pytest.raises(BackendTimeout) as caught:
            session.run({"x": np.ones(3)})
        assert caught.value.reason == "running the model took longer than the time limit of 0.2 s"
        assert not is_running(session._process.pid)


def test_processes_that_a_worker_starts_end_with_it(tmp_path):
    """The pipe's end comes when nobody holds it open any more."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with start("hangs_with_a_child", model=pipe) as session:
        session.ready()
        session.timeout = 0.2
        with pytest.raises(BackendTimeout):
            session.run({})
        os.set_blocking(held, True)
        assert os.read(held, 1) == b""
    os.close(held)


def test_a_log_that_fills_its_pipe_does_not_stop_the_worker():
    failure = failure_of("fills_its_log")
    assert (failure.status, failure.log[-1]) == ("crashed", "last words")
    assert len(failure.log) == 5


def test_a_worker_that_closes_its_pipes_has_stopped_answering(monkeypatch):
    monkeypatch.setattr(worker_session, "_GRACE_SECONDS", 0.2)
    failure = failure_of("closes_its_pipes")
    assert (failure.status, failure.reason) == (
        "crashed",
        "it stopped answering while running the model",
    )


def test_memory_beyond_the_limit_is_a_crash():
    failure = failure_of("eats_memory", memory_limit=GIB)
    assert failure.status == "crashed"
    assert "memory" in failure.reason


def test_an_exception_is_reported_in_one_line():
    failure = failure_of("raises")
    assert (failure.status, failure.reason) == ("crashed", "ValueError: two lines")


def test_an_unavailable_runtime_says_why():
    failure = failure_of("is_unavailable")
    assert (failure.status, failure.reason) == ("unavailable", "no GPU was found: install one")


def test_garbage_in_the_reply_is_a_crash():
    assert failure_of("answers_garbage").status == "crashed"


def test_an_unknown_factory_is_a_failure():
    assert "no_such_factory" in failure_of("no_such_factory").reason


def test_nothing_is_left_open():
    gc.collect()  # what other tests left to it would be closed meanwhile
    before = len(os.listdir("/proc/self/fd"))
    for name in ("echo", "aborts", "raises"):
        with start(name) as session, contextlib.suppress(BackendFailure):
            run(session)
        assert not is_running(session._process.pid)
    assert len(os.listdir("/proc/self/fd")) == before


def test_memory_does_not_grow_with_the_number_of_runs(echo):
    array = np.ones(2**20, np.float32)

    def resident() -> int:
        return int(Path(f"/proc/{echo._process.pid}/statm").read_text().split()[1])

    for _ in range(3):
        echo.run({"x": array})
    before = resident()
    for _ in range(30):
        echo.run({"x": array})
    assert (resident() - before) * os.sysconf("SC_PAGE_SIZE") < 4 * array.nbytes


def test_the_working_directory_is_not_searched_for_modules(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    with start("echo") as session:
        run(session)
