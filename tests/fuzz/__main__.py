"""The long run: `python -m tests.fuzz --mutants 5000 --seed 0`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.mutator import mutant
from tests.fuzz.runner import End, run
from tests.fuzz.seeds import DATA, DATA_FILE, seeds

_CHECKED = 50
"""One mutant in so many also goes through onnxruntime."""


def exercise(seed: int, number: int, folder: Path) -> End:
    """Make one mutant in a folder, and see how it ends.

    Args:
        seed: of the run.
        number: of the mutant.
        folder: for its file, and the data beside it.
    """
    (folder / DATA_FILE).write_bytes(DATA)
    path = folder / "mutant.onnx"
    path.write_bytes(mutant(seeds(), seed, number))
    return run(path, backend=number % _CHECKED == 0)


def main() -> int:
    """Run the mutants; the exit code is 1 if one ended oddly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument(
        "--keep", type=Path, default=Path("build/fuzz"), help="folder for those that end oddly"
    )
    given = parser.parse_args()
    ends: Counter[str] = Counter()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for done, number in enumerate(range(given.first, given.first + given.mutants), 1):
            end = exercise(given.seed, number, folder)
            ends[f"{end.kind} {end.detail}".strip() if end.kind == "refused" else end.kind] += 1
            if end.odd:
                _report(end, given.seed, number, given.keep, (folder / "mutant.onnx").read_bytes())
            if done % 500 == 0:
                print(f"{done} of {given.mutants}, {time.monotonic() - started:.0f} s", flush=True)
    for kind, count in ends.most_common():
        print(f"{count:7d}  {kind}")
    return int(any(kind in ends for kind in ("exception", "timeout", "killed", "text")))


def _report(end: End, seed: int, number: int, keep: Path, content: bytes) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    path = keep / f"{end.kind}-{seed}-{number}.onnx"
    path.write_bytes(content)
    (keep / DATA_FILE).write_bytes(DATA)
    print(f"mutant {number} of seed {seed}: {end.kind}: {end.detail.strip()}")
    print(f"  again: python -m tests.fuzz.runner {path}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
