"""The distributions, built once from a copy of what git tracks, and the wheel installed into a folder."""

from __future__ import annotations

import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from tests.packaging.distributions import ROOT, Distributions, Installation, dist_info, run


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone: what belongs to the distributions is asked of git")
    work = tmp_path_factory.mktemp("distributions")
    listed = run(["git", "-c", "safe.directory=*", "ls-files", "-z"], ROOT).split("\0")
    tracked = frozenset(name for name in listed if name and (ROOT / name).is_file())
    for name in tracked:
        copy = work / "clone" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy)
    build = [sys.executable, "-m", "build", "--no-isolation"]
    run([*build, "--outdir", work / "both", work / "clone"], work)
    run([*build, "--wheel", "--outdir", work / "wheel", work / "clone"], work)
    (sdist,) = (work / "both").glob("*.tar.gz")
    (wheel,) = (work / "both").glob("*.whl")
    (wheel_from_clone,) = (work / "wheel").glob("*.whl")
    return Distributions(tracked, sdist, wheel, wheel_from_clone)


@pytest.fixture(scope="session")
def metadata(distributions: Distributions) -> Metadata:
    """What the wheel says of itself, checked against the standard."""
    return Metadata.from_email(dist_info(distributions.wheel, "METADATA"), validate=True)


@pytest.fixture(scope="session")
def installation(
    distributions: Distributions, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The wheel in a folder that nobody may write to."""
    folder = tmp_path_factory.mktemp("installation") / "target"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    run([*pip, "--target", folder, distributions.wheel], Path("/"))
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    yield Installation(folder)
    for path in paths:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
