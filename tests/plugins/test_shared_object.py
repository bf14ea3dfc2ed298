"""The library as it is built: its interface driven by a C++ caller, and what it exports and links."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from normdeploy import plugin


def test_the_plugin_object_through_tensorrt_interfaces(library: Path, build_folder: Path) -> None:
    test = build_folder / "tests" / "plugin_interface_test"
    done = subprocess.run([test, library], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    passed, failed = map(int, re.findall(r"(\d+) passed, (\d+) failed", done.stdout)[0])
    assert passed > 3000
    assert failed == 0
    assert "field size is missing" in done.stderr, "without a logger, messages go to standard error"


def test_exports_two_functions_and_links_neither_tensorrt_nor_cuda(library: Path) -> None:
    symbols = _output_of("nm", "-D", "--defined-only", library)
    assert {line.split()[-1] for line in symbols.splitlines()} == {"getCreators", "setLoggerFinder"}
    needed = re.findall(r"NEEDED.*\[(.*)\]", _output_of("readelf", "-d", library))
    assert needed
    assert not [name for name in needed if "nvinfer" in name or "cud" in name]


def test_info_says_what_the_library_holds(library: Path) -> None:
    info = plugin.info(library)
    assert [(one.name, one.version, one.namespace) for one in info.operators] == [
        ("IntraChannelLRN", "1", "normdeploy")
    ]
    assert info.architectures == ("75", "90")
    assert info.tensorrt_headers == "10.14.1"
    assert info.size_bytes == library.stat().st_size


def _output_of(program: str, *arguments: str | Path) -> str:
    """What a program of binutils prints; every C++ compiler brings binutils along."""
    found = shutil.which(program)
    assert found is not None
    return subprocess.run([found, *arguments], capture_output=True, text=True, check=True).stdout
