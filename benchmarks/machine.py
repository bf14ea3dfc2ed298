"""What a benchmark's numbers were taken on."""

from __future__ import annotations

import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def environment(*packages: str) -> dict[str, str]:
    """The date, the CPU, and the versions of Python and of packages."""
    info = Path("/proc/cpuinfo")
    names = [
        line.split(":", 1)[1].strip()
        for line in (info.read_text().splitlines() if info.is_file() else [])
        if line.startswith("model name")
    ]
    return {
        "date": date.today().isoformat(),
        "CPU": f"{names[0]} x {len(names)}" if names else platform.processor(),
        "Python": platform.python_version(),
        **{package: _version(package) for package in packages},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
