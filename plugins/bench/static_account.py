"""What can be said of the kernels' speed without a GPU: bytes moved, registers, shared memory, occupancy.

    python plugins/bench/static_account.py [--output FOLDER]

Registers and spills are from the compiler's report, for each architecture. Tiles, shared memory and the
elements that a halo loads again are from the planner itself, which runs on the host, with each GPU's limits.
Occupancy follows from both. None of this is a measurement of time; benchmark.py does that, on a GPU.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from problems import TYPES, Problem, all_problems

PLUGINS = Path(__file__).resolve().parents[1]
RESULTS = PLUGINS.parent / "benchmarks" / "results"
THREADS = 256
REGISTERS_PER_MULTIPROCESSOR = 65536
MANGLED_KERNELS = {"TileILb1E": "tile, NCHW", "TileILb0E": "tile, NHWC", "AxisI": "axis"}
MANGLED_TYPES = {"f": "float32", "6__half": "float16", "13__nv_bfloat16": "bfloat16"}


@dataclass(frozen=True)
class Gpu:
    """Limits from the CUDA C++ Programming Guide, "Technical Specifications per Compute Capability"."""

    name: str
    architecture: int
    multiprocessors: int
    threads: int
    shared_per_multiprocessor: int
    shared_per_block: int


GPUS = (
    Gpu("T4", 75, 40, 1024, 64 << 10, 64 << 10),
    Gpu("A100", 80, 108, 2048, 164 << 10, 163 << 10),
    Gpu("A10", 86, 72, 1536, 100 << 10, 99 << 10),
    Gpu("L4", 89, 58, 1536, 100 << 10, 99 << 10),
    Gpu("H100", 90, 132, 2048, 228 << 10, 227 << 10),
    Gpu("B200", 100, 148, 2048, 228 << 10, 227 << 10),
    Gpu("RTX 5090", 120, 170, 1536, 100 << 10, 99 << 10),
)


@dataclass(frozen=True)
class Kernel:
    """The compiler's report on one kernel for one architecture."""

    kernel: str
    type: str
    architecture: int
    registers: int
    spilled_bytes: int


def main() -> int:
    """Write the account as JSON and as a page of Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the two files")
    options = parser.parse_args()
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        print("error: nvcc is not on PATH", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        kernels = [kernel for gpu in GPUS for kernel in compile_kernels(nvcc, gpu.architecture, Path(folder))]
        planner = build_planner(Path(folder))
        rows = [row for gpu in GPUS for row in account(gpu, kernels, planner)]
    options.output.mkdir(parents=True, exist_ok=True)
    release = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    document = {
        "measured": False,
        "nvcc": re.findall(r"release (\S+),", release)[0],
        "kernels": [asdict(kernel) for kernel in kernels],
        "problems": rows,
    }
    target = options.output / "plugin_static_account"
    target.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    target.with_suffix(".md").write_text(markdown(kernels, rows), encoding="utf-8")
    print(f"wrote {target}.json and {target}.md")
    return 0


def compile_kernels(nvcc: str, architecture: int, folder: Path) -> list[Kernel]:
    """The compiler's report on each kernel.

    Raises:
        RuntimeError: the report does not have every kernel.
    """
    flags = [
        "-std=c++17",
        f"-arch=sm_{architecture}",
        "-O3",
        "--prec-sqrt=false",
        "--prec-div=false",
        "-Xptxas=-v",
    ]
    command = [nvcc, *flags, f"-I{PLUGINS}", "-cubin", "-o", folder / "kernels.cubin"]
    done = subprocess.run(
        [*command, PLUGINS / "intra_channel_lrn" / "launch.cu"], capture_output=True, text=True, check=True
    )
    pattern = re.compile(
        r"Function properties for \w*?intraChannelLrn"
        rf"({'|'.join(MANGLED_KERNELS)})({'|'.join(MANGLED_TYPES)})E\S*\n"
        r".*?(\d+) bytes spill stores.*?\n.*?Used (\d+) registers"
    )
    kernels = [
        Kernel(MANGLED_KERNELS[kernel], MANGLED_TYPES[type_], architecture, int(registers), int(spilled))
        for kernel, type_, spilled, registers in pattern.findall(done.stderr + done.stdout)
    ]
    if len(kernels) != len(MANGLED_KERNELS) * len(TYPES):
        raise RuntimeError(f"the compiler reports {len(kernels)} kernels: {done.stderr}")
    return sorted(kernels, key=lambda one: (one.kernel, TYPES.index(one.type)))


def build_planner(folder: Path) -> Path:
    """Compile the program that prints the plan of a problem."""
    compiler = shutil.which("c++") or "c++"
    planner = folder / "describe_plan"
    sources = [PLUGINS / "bench" / "describe_plan.cpp", PLUGINS / "intra_channel_lrn" / "plan.cpp"]
    subprocess.run([compiler, "-std=c++17", "-O2", f"-I{PLUGINS}", *sources, "-o", planner], check=True)
    return planner


def account(gpu: Gpu, kernels: list[Kernel], planner: Path) -> list[dict[str, object]]:
    """A row for each problem on one GPU."""
    problems = all_problems()
    reserved = 0 if gpu.architecture == 75 else 1024
    limits = (gpu.shared_per_block, gpu.shared_per_multiprocessor, reserved, gpu.multiprocessors)
    lines = [" ".join(map(str, (*problem.kernel_shape(), *limits))) for problem in problems]
    done = subprocess.run([planner], input="\n".join(lines), capture_output=True, text=True, check=True)
    registers = {
        (one.kernel, one.type): one.registers for one in kernels if one.architecture == gpu.architecture
    }
    rows = []
    for problem, line in zip(problems, done.stdout.splitlines(), strict=True):
        plan = json.loads(line)
        blocks = resident_blocks(
            gpu, registers[f"tile, {problem.layout}", problem.type], plan["shared_bytes"] + reserved
        )
        rows.append(row_of(gpu, problem, plan, blocks))
    return rows


def resident_blocks(gpu: Gpu, registers: int, shared_bytes: int) -> int:
    """Blocks that fit on a multiprocessor. Registers are given out in units of 256 to a warp."""
    warp_registers = -(-registers * 32 // 256) * 256
    by_registers = REGISTERS_PER_MULTIPROCESSOR // (warp_registers * THREADS // 32)
    return min(by_registers, gpu.threads // THREADS, gpu.shared_per_multiprocessor // shared_bytes)


def row_of(gpu: Gpu, problem: Problem, plan: dict[str, object], blocks: int) -> dict[str, object]:
    """The plan of one problem with the traffic and the occupancy that follow."""
    loads = float(str(plan["loads_per_element"]))
    return {
        "gpu": gpu.name,
        "shape": list(problem.shape),
        "layout": problem.layout,
        "type": problem.type,
        "size": problem.size,
        **plan,
        "device_bytes_per_element": 2 * problem.element_bytes,
        "l2_bytes_per_element": round((1 + loads) * problem.element_bytes, 3),
        "blocks_per_multiprocessor": blocks,
        "occupancy": round(blocks * THREADS / gpu.threads, 3),
    }


def markdown(kernels: list[Kernel], rows: list[dict[str, object]]) -> str:
    """The page: registers of all kernels, and a selection of the rows."""
    architectures = sorted({one.architecture for one in kernels})
    lines = [
        "# Intra-channel LRN plugin: static account",
        "",
        "Made by plugins/bench/static_account.py. **No time was measured.** The JSON file has every row.",
        "",
        "## Registers per thread, 256 threads a block (spilled bytes)",
        "",
        "| kernel | type | " + " | ".join(f"sm_{number}" for number in architectures) + " |",
        "|---|---|" + "---|" * len(architectures),
    ]
    for kernel, type_ in dict.fromkeys((one.kernel, one.type) for one in kernels):
        found = [one for one in kernels if (one.kernel, one.type) == (kernel, type_)]
        cells = " | ".join(
            f"{one.registers} ({one.spilled_bytes})" if one.spilled_bytes else f"{one.registers}"
            for one in found
        )
        lines.append(f"| {kernel} | {type_} | {cells} |")
    lines += [
        "",
        "## The tile kernel on H100 and T4",
        "",
        "Device memory: each element read once and written once, as a copy does, as long as halos, which",
        "'loads per element' counts (1.00: none), come from the L2 cache. Occupancy is of threads.",
        "",
        "| GPU | shape | layout | type | size | tile (D×H×W×C), planes | shared KB | loads per element "
        "| blocks/SM | occupancy |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row["gpu"] in ("H100", "T4") and row["type"] != "bfloat16":
            lines.append(markdown_row(row))
    return "\n".join(lines) + "\n"


def markdown_row(row: dict[str, object]) -> str:
    """A row as a line of the table."""
    tile = "×".join(str(extent) for extent in [*list_of(row["tile"]), row["channels"]])
    shape = "×".join(str(extent) for extent in list_of(row["shape"]))
    shared = float(str(row["shared_bytes"])) / 1024
    return (
        f"| {row['gpu']} | {shape} | {row['layout']} | {row['type']} | {row['size']} "
        f"| {tile}, {row['planes']} | {shared:.1f} | {float(str(row['loads_per_element'])):.2f} "
        f"| {row['blocks_per_multiprocessor']} | {float(str(row['occupancy'])):.0%} |"
    )


def list_of(value: object) -> list[object]:
    """The value, which is a list.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, list):
        raise TypeError(f"expected a list, got {value!r}")
    return value


if __name__ == "__main__":
    sys.exit(main())
