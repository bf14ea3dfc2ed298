"""An earlier profile's JSON, to compare with."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normdeploy.errors import InputError
from normdeploy.profiling.comparison import compare_percentiles
from normdeploy.profiling.machine import differences
from normdeploy.profiling.report import SCHEMA, BackendProfile, Change
from normdeploy.profiling.statistics import PERCENTILES, Interval

_Percentiles = Mapping[str, tuple[float, Interval]]


@dataclass(frozen=True)
class Baseline:
    """What an earlier profile says.

    Args:
        path: its file.
        percentiles: (backend, batch) -> percentile's name -> value and interval, of the profiled model.
        versions: of each backend.
        environment: its machine.
    """

    path: str
    percentiles: Mapping[tuple[str, int | None], _Percentiles]
    versions: Mapping[str, Mapping[str, str]]
    environment: Mapping[str, Any]

    def changes(self, backends: Sequence[BackendProfile], model: str) -> list[Change]:
        """How each backend that both profiles measured has changed.

        Args:
            backends: as measured now.
            model: the name of the profiled model.
        """
        found = []
        for backend in backends:
            before = self.percentiles.get((backend.name, backend.batch))
            if backend.model == model and backend.latency is not None and before is not None:
                now = {
                    f"p{p}": (backend.latency.percentiles[p], backend.latency.percentiles_ci99[p])
                    for p in PERCENTILES
                }
                quantities = compare_percentiles(before, now)
                found.append(Change(backend.name, backend.batch, self.path, quantities))
        return found

    def notes(self, backends: Sequence[BackendProfile], environment: Mapping[str, Any]) -> list[str]:
        """Why a difference may not come from the model, in sentences.

        Args:
            backends: as measured now.
            environment: the machine as it is now.
        """
        found = [
            f"the baseline comes from another machine: {what}"
            for what in differences(self.environment, environment)
        ]
        for backend in backends:
            before = self.versions.get(backend.name)
            if backend.latency is not None and before is None:
                found.append(f"the baseline has no {backend.name} of this batch size to compare with")
            elif backend.latency is not None and before != backend.versions:
                found.append(f"{backend.name}: the baseline was measured with {_listed(before or {})}")
        return list(dict.fromkeys(found))


def read_baseline(path: str | os.PathLike[str]) -> Baseline:
    """Read the JSON that `profile` wrote.

    Args:
        path: of the file.

    Raises:
        InputError: no such file, or another kind of file.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON ({error})") from error
    try:
        if document["schema"] != SCHEMA:
            raise InputError(f"{path}: has schema {document['schema']}, and this version reads {SCHEMA}")
        measured = [
            backend
            for backend in document["backends"]
            if backend["status"] == "measured" and backend["model"] == document["model"]
        ]
        return Baseline(
            str(path),
            {
                (backend["name"], backend["batch"]): _percentiles(backend["latency_ms"])
                for backend in measured
            },
            {backend["name"]: dict(backend["versions"]) for backend in measured},
            dict(document["environment"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: is not what  normdeploy profile --json  writes ({type(error).__name__}: {error})"
        ) from error


def _percentiles(latency: Mapping[str, Any]) -> _Percentiles:
    found = {}
    for p in PERCENTILES:
        name = f"p{p}"
        low, high = latency["percentiles_ci99"][name]
        value = float(latency[name])
        if not value > 0:
            raise ValueError(f"{name} is {value}")
        found[name] = (
            value,
            (-math.inf if low is None else float(low), math.inf if high is None else float(high)),
        )
    return found


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "unknown versions"
