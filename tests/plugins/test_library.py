"""Where the library is, and what it holds, by the file that the build puts beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from normdeploy import plugin
from normdeploy.errors import PluginUnavailable, UsageError
from normdeploy.plugin.library import PluginOperator


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "normdeploy" / "plugin"


def test_path_and_info_before_the_build(empty_cache: Path) -> None:
    for function in (plugin.path, plugin.info):
        with pytest.raises(PluginUnavailable, match=r"is not there: run  normdeploy plugin build"):
            function()


def test_path_and_info_after_the_build(empty_cache: Path) -> None:
    empty_cache.mkdir(parents=True)
    library = empty_cache / "libnormdeploy_plugins.so"
    library.write_bytes(b"12345")
    recorded = {
        "version": "1.2.3",
        "plugins": [{"name": "IntraChannelLRN", "version": "1", "namespace": "normdeploy"}],
        "tensorrt_headers": "10.14.1",
        "headers_from": "wheel",
        "cuda": "13.0.88",
        "architectures": "75-real;120",
    }
    library.with_suffix(".json").write_text(json.dumps(recorded))
    assert plugin.path() == library
    info = plugin.info()
    assert (info.size_bytes, info.version, info.architectures) == (5, "1.2.3", ("75-real", "120"))
    assert info.operators == (PluginOperator("IntraChannelLRN", version="1", namespace="normdeploy"),)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"version": 1, "plugins": [{"nobody": 1}]}', "\udcff"])
def test_a_damaged_account_of_the_library(text: str, empty_cache: Path) -> None:
    empty_cache.mkdir(parents=True)
    library = empty_cache / "libnormdeploy_plugins.so"
    library.write_bytes(b"12345")
    library.with_suffix(".json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(PluginUnavailable, match=r"libnormdeploy_plugins\.json is damaged: run  normdeploy"):
        plugin.info()


def test_a_library_without_its_account(empty_cache: Path) -> None:
    empty_cache.mkdir(parents=True)
    (empty_cache / "libnormdeploy_plugins.so").write_bytes(b"12345")
    with pytest.raises(PluginUnavailable, match=r"\.json: No such file or directory: run  normdeploy plugin"):
        plugin.info()


def test_the_file_that_was_named_is_named(tmp_path: Path) -> None:
    library = tmp_path / "mine.so"
    for missing in (library, tmp_path):
        with pytest.raises(UsageError, match=f"^{missing}: there is no such plugin library: run  normdeploy"):
            plugin.info(missing)
    library.write_bytes(b"12345")
    for text in (None, "{"):
        if text is not None:
            library.with_suffix(".json").write_text(text)
        with pytest.raises(PluginUnavailable, match=f"^{library}: what it holds is not known: mine.json"):
            plugin.info(library)
