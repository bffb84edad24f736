"""What ``tools/benchmark_speed.py`` measures."""

import copy
import ctypes
import gc
import statistics
import time
from pathlib import Path
from collections.abc import Callable

import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch.utils.flop_counter import FlopCounterMode

PARTS = ('text', 'train_step', 'evaluation')
# Dense TFLOP/s of NVIDIA's data sheets (SXM versions), by part of the name.
PEAK_TFLOPS = {
    'A100': dict(fp64=9.7, fp32=19.5, bf16=312.0, fp16=312.0),
    'H100': dict(fp64=34.0, fp32=67.0, bf16=989.0, fp16=989.0),
    'H200': dict(fp64=34.0, fp32=67.0, bf16=989.0, fp16=989.0),
}


def class_names(count: int) -> list[str]:
    """ImageNet's class names; numbered ones after the first thousand."""
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

    names = list(dict.fromkeys(IMAGENET_CLASSNAMES))
    return [names[i % len(names)] + (f' {i}' if i >= len(names) else '') for i in range(count)]


def build(count: int, arch: str, device: str, dtype: str, method: dict):
    """A method as its base config has it, with random weights."""
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    method = copy.deepcopy(dict(method))
    if (method.get('visual_prompt') or {}).get('top_k'):
        method['visual_prompt']['top_k'] = min(10, count)
    if method.get('tuning'):  # the plain path merges, and merged has no dropout
        method['tuning']['dropout'] = 0.0
    model = MODELS.build(
        dict(method, arch=arch, pretrained=None, precision=dtype, classes=class_names(count))
    )
    if hasattr(model.head, 'fill'):
        keys = model.head.keys.shape[0]
        model.head.fill(torch.randn(1, keys, model.backbone.embed_dim), torch.arange(keys) % count)
    return model.to(device)


class Task:
    """One part of the work, by our path and by the plain one.

    Args:
        part (str): 'text', 'train_step' or 'evaluation'.
        model (PromptedCLIP): The model.
        batch_size (int): Images a step.
    """

    def __init__(self, part: str, model, batch_size: int):
        self.part, self.model = part, model
        device = model.scale.device
        torch.manual_seed(1)
        self.images = torch.randn(batch_size, 3, *model.backbone.image_size, device=device)
        count = len(model.classes)
        self.samples = [DataSample().set_gt_label(i % count).to(device) for i in range(batch_size)]
        self.weight = torch.randn(count, model.backbone.embed_dim, device=device)
        model.train(part != 'evaluation')
        if part == 'evaluation':
            model.requires_grad_(False)
        model.head.set_epoch(10**6)
        # Both paths know the templates' features beforehand.
        self.filled = model.frozen_text_features()

    def run(self, plain_path: bool) -> list[torch.Tensor]:
        """Outputs, then gradients."""
        from helpers.plain import learnt_text, match

        model = self.model
        if self.part == 'evaluation':
            with torch.no_grad():
                found = (
                    match(model, self.images, self.filled)
                    if plain_path
                    else model.match(self.images)
                )
                return [model.head(found)]
        if self.part == 'text':
            learnt = list(model.text_prompt.parameters())
            output = learnt_text(model) if plain_path else model.text_features()
            total = (output * self.weight).sum()
        else:
            learnt = [p for p in model.parameters() if p.requires_grad]
            found = (
                match(model, self.images, self.filled) if plain_path else model.match(self.images)
            )
            losses = model.head.loss(found, self.samples)
            output, _ = model.parse_losses(losses)  # a pair for ProGrad
            total = output.sum()
        return [output.detach(), *torch.autograd.grad(total, learnt)]


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


def differences(task: Task, plain_task: Task) -> dict:
    """Largest difference of outputs, and of gradients relative to the largest
    entry of each tensor."""
    ours, plain = task.run(False), plain_task.run(True)
    gradients = [
        float((a - b).abs().max() / b.abs().max().clamp(min=1e-30))
        for a, b in zip(ours[1:], plain[1:])
    ]
    return dict(
        max_abs_diff=float((ours[0] - plain[0]).abs().max()),
        max_rel_grad_diff=max(gradients, default=0.0),
    )


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


def benchmark(
    part: str,
    count: int,
    arch: str,
    batch_size: int,
    device: str,
    dtype: str,
    plain_dtype: str,
    repeat: int,
    plain_limit: int,
    warm_up: int = 1,
    count_flops: bool = True,
    *,
    method: dict,
) -> dict:
    """Measure one part with one number of classes.

    Args:
        part (str): Out of ``PARTS``.
        count (int): Number of classes.
        arch (str): open_clip's name.
        batch_size (int): Images a step.
        device (str): 'cpu', 'cuda', ...
        dtype (str): Of the frozen towers: 'fp32', 'bf16', ...
        plain_dtype (str): The same for the plain path.
        repeat (int): Measured rounds; medians are given.
        plain_limit (int): Most classes of the plain path.
        warm_up (int): Rounds that are not counted, first.
        method (dict): ``model`` of the method's base config. One whose text
            is hand-written, or depends on the images, has no part 'text'.
        count_flops (bool): Whether to count FLOPs, in one more run of each.

    Returns:
        dict: ``ours_s``, ``plain_s``, ``ratio``, ``ours_peak_mib``,
        ``plain_peak_mib``, ``max_abs_diff``, ``max_rel_grad_diff``, tokens
        and FLOPs, and ``plain_note`` where the plain path was extrapolated.
    """
    meter = Meter(device)
    task = Task(part, build(count, arch, device, dtype, method), batch_size)
    sizes = [count] if count <= plain_limit else [plain_limit // 2, plain_limit]
    same = dtype == plain_dtype
    plain_tasks = [
        task
        if same and size == count
        else Task(part, build(size, arch, device, plain_dtype, method), batch_size)
        for size in sizes
    ]
    calls = dict(ours=lambda: task.run(False))
    for size, plain_task in zip(sizes, plain_tasks):
        calls[size] = lambda t=plain_task: t.run(True)
    measured = in_turn(calls, meter, repeat, warm_up)
    ours = measured['ours']
    plain = [_extend(count, sizes, [measured[s][i] for s in sizes]) for i in range(2)]
    equal_task = (
        task
        if count == sizes[-1]
        else Task(part, build(sizes[-1], arch, device, dtype, method), batch_size)
    )
    packing = (task.model.text_prompt or task.model.templates[0]).packing
    row = dict(
        ours_s=ours[0],
        plain_s=plain[0],
        ratio=plain[0] / ours[0],
        ours_peak_mib=ours[1],
        plain_peak_mib=plain[1],
        **differences(equal_task, plain_tasks[-1]),
        ours_text_tokens=packing.prefix.numel() + packing.own.numel(),
        plain_text_tokens=count * task.model.text_tower.context_length,
    )
    if count_flops:
        row['ours_flops'] = flops(calls['ours'])
        row['ours_tflops_per_s'] = row['ours_flops'] / ours[0] / 1e12
        peak = peak_tflops(device, dtype)
        if peak:
            row['share_of_peak'] = row['ours_tflops_per_s'] / peak
        row['plain_flops'] = _extend(count, sizes, [flops(calls[s]) for s in sizes])
    if len(sizes) > 1:
        row['plain_note'] = (
            f'measured with {sizes[0]} and {sizes[1]} classes, carried on in a straight line'
        )
    return row


def _extend(count: int, sizes: list[int], values: list[float]) -> float:
    """Carry two measurements on in a straight line."""
    if len(sizes) == 1:
        return values[0]
    slope = (values[1] - values[0]) / (sizes[1] - sizes[0])
    return values[1] + slope * (count - sizes[1])
