"""Mutants of valid models end in a result or in an error of normdeploy's own: a share of `make fuzz`."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import onnx
import pytest

from normdeploy.errors import ModelError
from tests.fuzz import runner
from tests.fuzz.mutator import mutant
from tests.fuzz.runner import End
from tests.fuzz.seeds import DATA, DATA_FILE, seeds

ROOT = Path(__file__).parents[2]
CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.onnx"))
"""Mutants that once ended oddly."""


def python(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A module of this folder in a process of its own, which has no threads that a fork would lose."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("first", [0, 50, 100, 150])
def test_mutants(tmp_path, first):
    done = python("tests.fuzz", "--seed", 10, "--first", first, "--mutants", 50, "--keep", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    counts: Counter[str] = Counter()
    for line in done.stdout.splitlines():
        number, kind, *_ = line.split()
        counts[kind] += int(number)
    assert counts["result"] > 5, "hardly a mutant is accepted: they show nothing"
    assert counts["refused"] > 5, "hardly a mutant is refused: they show nothing"


def test_what_once_failed(tmp_path):
    for path in CORPUS:
        shutil.copy(path, tmp_path)
    (tmp_path / DATA_FILE).write_bytes(DATA)
    done = python("tests.fuzz.runner", *(tmp_path / path.name for path in CORPUS))
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == len(CORPUS) > 0


class TestMutator:
    def test_a_mutant_can_be_made_again(self):
        assert [mutant(seeds(), 3, number) for number in range(30)] == [
            mutant(seeds(), 3, number) for number in range(30)
        ]

    def test_mutants_differ(self):
        assert len({mutant(seeds(), 3, number) for number in range(100)}) > 90

    def test_seeds_are_not_changed(self):
        before = {name: proto.SerializeToString() for name, proto in seeds().items()}
        for number in range(100):
            mutant(seeds(), 4, number)
        assert {name: proto.SerializeToString() for name, proto in seeds().items()} == before

    def test_seeds_have_every_kind_of_message_that_a_model_may_hold(self):
        """Bar the training graphs, sequences, maps and devices that nothing here reads."""
        known, waiting = set(), [onnx.ModelProto.DESCRIPTOR]
        while waiting:
            kind = waiting.pop()
            if kind.name not in known:
                known.add(kind.name)
                waiting += [field.message_type for field in kind.fields if field.message_type]
        held = set()
        for proto in seeds().values():
            held |= {type(message).__name__ for message in _all(proto)}
        assert known - held <= {
            "TrainingInfoProto", "Sequence", "Map", "Optional", "SparseTensor", "Opaque", "Segment",
            "DeviceConfigurationProto", "NodeDeviceConfigurationProto", "ShardingSpecProto",
            "ShardedDimProto",
            "SimpleShardedDimProto", "IntIntListEntryProto",
        }  # fmt: skip


class TestRunner:
    @pytest.fixture
    def ending(self, monkeypatch, tmp_path):
        """How a file ends when a function of the test takes the place of what reads it."""

        def ending(step):
            monkeypatch.setattr(runner, "_steps", lambda _: [step])
            return runner.run(tmp_path / "m.onnx", seconds=1)

        return ending

    def test_a_result(self, ending):
        assert ending(lambda _: None) == End("result", "")

    def test_a_refusal(self, ending):
        def refuses(_):
            raise ModelError("no")

        assert ending(refuses) == End("refused", "ModelError")

    def test_an_exception(self, ending):
        def fails(_):
            raise KeyError("what")

        end = ending(fails)
        assert end.odd
        assert end.kind == "exception"
        assert "KeyError: 'what'" in end.detail

    def test_a_crash(self, ending):
        assert ending(lambda _: os.kill(os.getpid(), signal.SIGKILL)) == End("killed", "signal 9")

    def test_an_exit(self, ending):
        assert ending(lambda _: os._exit(3)) == End("killed", "exit code 3")

    def test_no_end(self, ending):
        def turns(_):
            while True:
                pass

        end = ending(turns)
        assert end.odd
        assert end.kind == "timeout"

    def test_a_process_that_waits_for_ever(self, ending, monkeypatch):
        monkeypatch.setattr(runner, "IDLE", 0.01)
        assert ending(lambda _: signal.pause()) == End("timeout", "computed nothing for 0.01 s")

    def test_one_that_computes_slowly_is_waited_for(self, monkeypatch):
        reader, writer = os.pipe()
        looks = iter([1, 2, 2, 3, 3, 3])
        monkeypatch.setattr(runner, "_processor_time", lambda _: next(looks))
        monkeypatch.setattr(runner, "IDLE", 0.01)
        assert runner._hangs(os.getpid(), reader)
        assert next(looks, None) is None, "every look is one at a process that has gone on since"
        os.close(reader)
        os.close(writer)

    def test_a_defect_found_by_verification(self, ending):
        def differs(_):
            raise ModelError("the optimized model is not the same. This is a defect of normdeploy")

        assert ending(differs).kind == "text"


def _all(message):
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if not hasattr(value, "ListFields") else [value]:
                yield from _all(inner)
