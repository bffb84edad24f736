"""Time, peak memory and FLOPs of calls, for ``tools/benchmark_speed.py``."""

import ctypes
import gc
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

# Dense TFLOP/s of NVIDIA's data sheets, fp32 without TF32, half precision on tensor cores with
# single-precision sums, by words of the card's name; the first that fits counts.
PEAK_TFLOPS = {
    'H100 PCIe': dict(fp64=26.0, fp32=51.0, bf16=756.0, fp16=756.0),
    'H100 NVL': dict(fp64=30.0, fp32=60.0, bf16=835.0, fp16=835.0),
    'H100': dict(fp64=34.0, fp32=67.0, bf16=989.0, fp16=989.0),
    'H200 NVL': dict(fp64=30.0, fp32=60.0, bf16=835.0, fp16=835.0),
    'H200': dict(fp64=34.0, fp32=67.0, bf16=989.0, fp16=989.0),
    'A100': dict(fp64=9.7, fp32=19.5, bf16=312.0, fp16=312.0),
    'A10': dict(fp32=31.2, bf16=125.0, fp16=125.0),
    'L40S': dict(fp32=91.6, bf16=362.0, fp16=362.0),
    'L40': dict(fp32=90.5, bf16=181.0, fp16=181.0),
    'L4': dict(fp32=30.3, bf16=121.0, fp16=121.0),
    'V100': dict(fp64=7.8, fp32=15.7, fp16=125.0),
    'T4': dict(fp32=8.1, fp16=65.0),
    'RTX 4090': dict(fp32=82.6, bf16=165.2, fp16=165.2),
    'RTX 3090': dict(fp32=35.6, bf16=71.0, fp16=71.0),
}


class Meter:
    """Time and peak memory of calls.

    Args:
        device (str): 'cpu', 'cuda', ...
        clock (str): 'wall', or 'cpu': processor seconds of this process, which other work on
            the machine leaves alone.
    """

    def __init__(self, device: str, clock: str = 'wall'):
        self.cuda = device.startswith('cuda')
        self.now = dict(wall=time.perf_counter, cpu=time.process_time)[clock]

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
        began = self.now()
        call()
        if self.cuda:
            torch.cuda.synchronize()
        seconds = self.now() - began
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


def flops(call: Callable) -> float:
    """Floating-point operations, counted by PyTorch."""
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def peak_tflops(device: str, dtype: str) -> float | None:
    """What the GPU could do at most; None where it is not known."""
    if not device.startswith('cuda'):
        return None
    return peak_of(torch.cuda.get_device_name(device), dtype)


def peak_of(card: str, dtype: str) -> float | None:
    """The same of a card's name."""
    fits = (peak for part, peak in PEAK_TFLOPS.items() if re.search(rf'\b{part}\b', card))
    return next(fits, {}).get(dtype)
