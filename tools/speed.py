"""What ``tools/benchmark_speed.py`` measures."""

import copy
import functools
import json
import tempfile
from collections.abc import Callable

import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from speed_meter import Meter, flops, in_turn, peak_tflops

PARTS = ('text', 'train_step', 'evaluation')


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
    if (method.get('tuning') or {}).get(
        'dropout'
    ):  # the plain path merges, and merged has no dropout
        method['tuning']['dropout'] = 0.0
    if method['head']['type'] == 'CoPromptHead':
        method['head']['sentences'] = written(class_names(count))
    model = MODELS.build(
        dict(method, arch=arch, pretrained=None, precision=dtype, classes=class_names(count))
    )
    if hasattr(model.head, 'fill'):
        keys = model.head.keys.shape[0]
        model.head.fill(torch.randn(1, keys, model.backbone.embed_dim), torch.arange(keys) % count)
    return model.to(device)


def written(names: list[str]) -> str:
    """A file with ten sentences per class."""
    with tempfile.NamedTemporaryFile('w', suffix='.json', delete=False) as file:
        json.dump(
            {name: [f'sentence {k} of the {name}.' for k in range(10)] for name in names}, file
        )
    return file.name


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
        kinds = 1 if hasattr(model.head, 'drawn') else count  # SkipTuning: batches of one class
        self.samples = [DataSample().set_gt_label(i % kinds).to(device) for i in range(batch_size)]
        for sample, image in zip(self.samples, self.images):
            sample.set_field(image.flip(-1).cpu(), 'img2')
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
                match(model, self.images, self.filled, self.samples)
                if plain_path
                else model.match(self.images, self.samples)
            )
            torch.manual_seed(0)  # of what a loss draws
            losses = model.head.loss(found, self.samples)
            output, _ = model.parse_losses(losses)  # a pair for ProGrad
            total = output.sum()
        return [output.detach(), *torch.autograd.grad(total, learnt)]


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


class Pair:
    """Our path with all classes, and the plain one with as many as it bears.

    Args:
        part (str): Out of ``PARTS``.
        count (int): Number of classes.
        plain_limit (int): Most classes of the plain path. With more it runs
            with this many and with half of them, and is carried on from both.
        make (Callable): :func:`build`, of a number of classes and ``dtype``.
        batch_size (int): Images a step.
        dtype (str): Of our path.
        plain_dtype (str): Of the plain one.
    """

    def __init__(
        self,
        part: str,
        count: int,
        plain_limit: int,
        make: Callable,
        batch_size: int,
        dtype: str,
        plain_dtype: str,
    ):
        self.count = count
        self.sizes = [count] if count <= plain_limit else [plain_limit // 2, plain_limit]

        def task(size: int, dtype: str) -> Task:
            return Task(part, make(size, dtype=dtype), batch_size)

        self.ours = task(count, dtype)
        same = dtype == plain_dtype
        self.plain_tasks = [
            self.ours if same and size == count else task(size, plain_dtype) for size in self.sizes
        ]
        self._task = functools.partial(task, dtype=dtype)

    def calls(self) -> dict:
        """What is measured: 'ours', and the plain path by number of classes."""
        found: dict = dict(ours=functools.partial(self.ours.run, False))
        for size, task in zip(self.sizes, self.plain_tasks):
            found[size] = functools.partial(task.run, True)
        return found

    def plain(self, values: list[float]) -> float:
        """The plain path with all classes, of one value per size."""
        return _extend(self.count, self.sizes, values)

    def differences(self) -> dict:
        """How far the paths are apart, with the most classes that both have."""
        most = self.sizes[-1]
        return differences(
            self.ours if self.count == most else self._task(most), self.plain_tasks[-1]
        )

    def text_tokens(self) -> dict:
        """Tokens that the text tower computes."""
        model = self.ours.model
        packing = (model.text_prompt or model.templates[0]).packing
        return dict(
            ours_text_tokens=packing.prefix.numel() + packing.own.numel(),
            plain_text_tokens=self.count * model.text_tower.context_length,
        )

    def note(self) -> dict:
        """``plain_note`` where the plain path was carried on."""
        if len(self.sizes) == 1:
            return {}
        few, more = self.sizes
        note = f'measured with {few} and {more} classes, carried on in a straight line'
        return dict(plain_note=note)


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
    make = functools.partial(build, arch=arch, device=device, method=method)
    pair = Pair(part, count, plain_limit, make, batch_size, dtype, plain_dtype)
    calls = pair.calls()
    measured = in_turn(calls, Meter(device), repeat, warm_up)
    ours = measured['ours']
    plain = [pair.plain([measured[s][i] for s in pair.sizes]) for i in range(2)]
    row = dict(
        ours_s=ours[0],
        plain_s=plain[0],
        ratio=plain[0] / ours[0],
        ours_peak_mib=ours[1],
        plain_peak_mib=plain[1],
        **pair.differences(),
        **pair.text_tokens(),
    )
    if count_flops:
        row['ours_flops'] = flops(calls['ours'])
        row['ours_tflops_per_s'] = row['ours_flops'] / ours[0] / 1e12
        peak = peak_tflops(device, dtype)
        if peak:
            row['share_of_peak'] = row['ours_tflops_per_s'] / peak
        row['plain_flops'] = pair.plain([flops(calls[s]) for s in pair.sizes])
    return {**row, **pair.note()}


def _extend(count: int, sizes: list[int], values: list[float]) -> float:
    """Carry two measurements on in a straight line."""
    if len(sizes) == 1:
        return values[0]
    slope = (values[1] - values[0]) / (sizes[1] - sizes[0])
    return values[1] + slope * (count - sizes[1])
