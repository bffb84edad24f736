"""Time, peak memory and FLOPs of calls, for ``tools/speed.py``."""

import ctypes
import gc
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode, register_flop_formula

# Dense TFLOP/s of NVIDIA's data sheets (SXM versions), by part of the name.
PEAK_TFLOPS = {
    'A100': dict(fp64=9.7, fp32=19.5, bf16=312.0, fp16=312.0),
    'H100': dict(fp64=34.0, fp32=67.0, bf16=989.0, fp16=989.0),
    'H200': dict(fp64=34.0, fp32=67.0, bf16=989.0, fp16=989.0),
}


class Meter:
    """Time and peak memory of calls."""

    def __init__(self, device: str):
        self.cuda = device.startswith('cuda')

    def measure(self, call: Callable):
        """Return ``(seconds, peak MiB above the start)``."""
        gc.collect()
        if self.cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            start = torch.cuda.memory_allocated()
        else:
            ctypes.CDLL('libc.so.6').malloc_trim(0)
            Path('/proc/self/clear_refs').write_text('5')  # resets the peak
            start = _status('VmRSS')
        began = time.perf_counter()
        call()
        if self.cuda:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - began
        peak = torch.cuda.max_memory_allocated() if self.cuda else _status('VmHWM')
        return seconds, (peak - start) / 2**20


def _status(name: str) -> int:
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise OSError(f'/proc/self/status has no {name}: memory is measured on Linux only.')


def in_turn(calls: dict[str, Callable], meter: Meter, repeat: int, warm_up: int) -> dict:
    """Median time and peak memory of each call, run in turn after the warm-up
    rounds."""
    runs: dict = {name: [] for name in calls}
    for i in range(repeat + warm_up):
        for name, call in calls.items():
            measured = meter.measure(call)
            if i >= warm_up:
                runs[name].append(measured)
    return {
        name: tuple(statistics.median(x) for x in zip(*values)) for name, values in runs.items()
    }


if torch.backends.mkldnn.is_available():

    @register_flop_formula(torch.ops.mkldnn._linear_pointwise)
    def _linear_flops(tokens, weight, *args, **kwargs):  # of frozen_linear
        return 2 * math.prod(tokens) * weight[0]


def flops(call: Callable) -> float:
    """Floating-point operations, counted by PyTorch."""
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def peak_tflops(device: str, dtype: str) -> float | None:
    """What the GPU could do at most; None where it is not known."""
    if not device.startswith('cuda'):
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak[dtype] for part, peak in PEAK_TFLOPS.items() if part in name), None)
