"""`normdeploy plugin` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from normdeploy.cli.plugin import command
from normdeploy.errors import PluginUnavailable


def test_path_and_info_of_a_built_library(
    library: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = tmp_path / "normdeploy" / "plugin"
    cache.mkdir(parents=True)
    for part in (library, library.with_suffix(".json")):
        (cache / part.name).symlink_to(part)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    runner = CliRunner()
    assert runner.invoke(command, ["path"]).output.strip() == str(cache / library.name)
    text = runner.invoke(command, ["info"]).output
    assert "normdeploy::IntraChannelLRN, version 1" in text
    assert "75, 90" in text
    assert runner.invoke(command, ["info", str(library)]).exit_code == 0


def test_a_missing_library_is_one_of_our_errors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for verb in ("path", "info"):
        assert isinstance(CliRunner().invoke(command, [verb]).exception, PluginUnavailable)


def test_unknown_headers_are_refused() -> None:
    outcome = CliRunner().invoke(command, ["build", "--headers", "tar"])
    assert outcome.exit_code == 2
    assert "'auto', 'find', 'wheel', 'git'" in outcome.output
