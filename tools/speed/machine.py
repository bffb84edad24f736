"""What a measurement was made on."""

import platform
from pathlib import Path

import torch

from .meter import PEAK_TFLOPS, peak_of


def machine(device: str) -> dict:
    """The device's name, threads, torch's version; of a GPU its memory and driver too."""
    found = dict(device=processor(), threads=torch.get_num_threads(), torch=str(torch.__version__))
    if not device.startswith('cuda'):
        return found
    facts = torch.cuda.get_device_properties(device)
    known = {d: peak_of(facts.name, d) for d in next(iter(PEAK_TFLOPS.values()))}
    return dict(
        found,
        device=facts.name,
        processor=found['device'],
        memory_gib=round(facts.total_memory / 2**30, 1),
        capability='.'.join(map(str, torch.cuda.get_device_capability(device))),
        cuda=torch.version.cuda,
        peak_tflops=known if any(known.values()) else 'not known of this card',
    )


def processor() -> str:
    """The processor's name."""
    info = Path('/proc/cpuinfo')
    if info.exists():
        for line in info.read_text().splitlines():
            if 'model name' in line:
                return line.split(':')[1].strip()
    return platform.processor() or platform.machine()
