"""What a measurement depends on besides the network: machine, clocks and library versions."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hwnas.core.device import cores


def conditions() -> dict[str, Any]:
    """Plain JSON, read now; what cannot be read is left out.

    ``cpu`` (model), ``cpu_mhz`` (mean over cores), ``cores``, ``load`` (runnable processes over
    the last minute), ``system``, ``python``, ``torch``, ``threads`` and, with a GPU, ``gpu``: name,
    driver, cuda, temperature_c, clock_mhz, memory_clock_mhz, power_w.
    """
    import torch

    found: dict[str, Any] = {
        **_cpu(),
        "cores": cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    if hasattr(os, "getloadavg"):
        found["load"] = round(os.getloadavg()[0], 2)
    if torch.cuda.is_available():
        found["gpu"] = _gpu()
    return found


def _cpu() -> dict[str, Any]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {"cpu": platform.processor() or platform.machine()}
    pairs = [line.partition(":") for line in path.read_text().splitlines()]
    models = [value.strip() for key, _, value in pairs if key.strip() == "model name"]
    clocks = [float(value) for key, _, value in pairs if key.strip() == "cpu MHz"]
    found: dict[str, Any] = {"cpu": models[0] if models else platform.machine()}
    if clocks:
        found["cpu_mhz"] = round(sum(clocks) / len(clocks))
    return found


def _gpu() -> dict[str, Any]:
    import torch

    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    found: dict[str, Any] = {"name": properties.name, "cuda": torch.version.cuda}
    try:
        import pynvml
    except ImportError:
        return found
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # a driver without its management library
        return found
    try:
        # by identity: torch's numbering follows CUDA_VISIBLE_DEVICES, that of NVML does not
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{properties.uuid}")
        readings: dict[str, Callable[[], Any]] = {
            "driver": pynvml.nvmlSystemGetDriverVersion,
            "temperature_c": lambda: pynvml.nvmlDeviceGetTemperature(
                handle, pynvml.NVML_TEMPERATURE_GPU
            ),
            "clock_mhz": lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
            "memory_clock_mhz": lambda: pynvml.nvmlDeviceGetClockInfo(
                handle, pynvml.NVML_CLOCK_MEM
            ),
            "power_w": lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        }
        for name, read in readings.items():
            try:
                found[name] = read()
            except pynvml.NVMLError:  # virtual GPUs and partitions do not tell everything
                continue
    except pynvml.NVMLError:
        return found
    finally:
        pynvml.nvmlShutdown()
    return found
