"""What is recorded of the machine."""

import json
import sys
from types import SimpleNamespace

from normdeploy.profiling.machine import differences, gpu_states, machine
from normdeploy.resources import usable_cpus


def test_the_machine_is_named_with_its_state():
    found = machine()
    assert found["usable_cpus"] == usable_cpus() >= 1
    assert len(found["load_average"]) == 3
    assert {"cpu", "governor", "gpus", "onnx", "python", "thread_variables"} <= set(found)
    json.dumps(found)


def test_variables_that_change_the_number_of_threads_are_recorded(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert machine()["thread_variables"]["OMP_NUM_THREADS"] == "3"


def test_what_sets_two_machines_apart():
    before = {"cpu": "one", "usable_cpus": 4, "load_average": [1, 1, 1]}
    assert differences(before, {**before, "load_average": [9, 9, 9]}) == []
    assert differences(before, {**before, "cpu": "another"}) == ["cpu was one and is another"]
    assert differences({}, {"governor": "powersave"}) == ["governor was None and is powersave"]


class Error(Exception):
    pass


def fails(*_):
    raise Error


def nvml(**functions):
    """NVML's Python module on a machine with one GPU, which tells nothing but what is given here."""
    names = [
        "nvmlDeviceGetName", "nvmlSystemGetDriverVersion", "nvmlDeviceGetMemoryInfo",
        "nvmlDeviceGetClockInfo", "nvmlDeviceGetTemperature", "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetCurrentClocksThrottleReasons",
    ]  # fmt: skip
    module = dict.fromkeys(names, fails) | {
        "NVMLError": Error,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "NVML_CLOCK_SM": 1,
        "NVML_CLOCK_MEM": 2,
        "NVML_TEMPERATURE_GPU": 0,
    }
    return SimpleNamespace(**(module | functions))


def test_a_gpu_tells_what_it_can(monkeypatch):
    told = {
        "nvmlDeviceGetName": lambda handle: "a GPU",
        "nvmlDeviceGetPowerUsage": lambda handle: 61_500,
        "nvmlDeviceGetClockInfo": lambda handle, clock: {1: 1980, 2: 2619}[clock],
        "nvmlDeviceGetCurrentClocksThrottleReasons": lambda handle: 4,
    }
    monkeypatch.setitem(sys.modules, "pynvml", nvml(**told))
    (state,) = gpu_states()
    assert (state["name"], state["power_w"], state["throttling"]) == ("a GPU", 61.5, 4)
    assert (state["sm_clock_mhz"], state["memory_clock_mhz"]) == (1980, 2619)
    assert state["temperature_c"] is None


def test_without_a_gpu_or_the_package_there_are_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", nvml(nvmlInit=fails))
    assert gpu_states() == []
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpu_states() == []
