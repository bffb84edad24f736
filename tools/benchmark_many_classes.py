"""Memory and time of tens of thousands of classes, on a CPU.

    python tools/benchmark_many_classes.py --num-classes 21841 --few 1000

Class names are made of the words of ImageNet's, so their lengths are real ones. With
random weights: first the text tower alone, forward and backward, with few classes,
then a whole DPT training step with all of them and ``text_checkpointing``. Seconds
are those of one thread's processor time, memory is the process's, above what it held
before. The templates' features, which a training computes once, are random here.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from mmengine.config import Config  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmpretrain.registry import MODELS  # noqa: E402
from mmpretrain.structures import DataSample  # noqa: E402

import mmdpt.models  # noqa: E402, F401
from mmdpt.models.part import ModelInfo  # noqa: E402
from mmdpt.models.prompts.coop import CoOp  # noqa: E402
from mmdpt.utils.malloc import map_large_blocks  # noqa: E402
from speed.meter import Meter  # noqa: E402

DPT = Path(__file__).resolve().parents[1] / 'configs/_base_/methods/dpt.py'


def made_up_names(count: int) -> list[str]:
    """ImageNet's class names, then the first words of one with the last word of
    another."""
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

    names = dict.fromkeys(IMAGENET_CLASSNAMES)
    fronts = [n.rsplit(' ', 1)[0] for n in names]
    backs = [n.rsplit(' ', 1)[-1] for n in names]
    for shift, i in product(range(1, len(backs)), range(len(fronts))):
        if len(names) >= count:
            break
        names[f'{fronts[i]} {backs[(i + shift) % len(backs)]}'] = None
    return list(names)[:count]


def build(args) -> torch.nn.Module:
    """DPT with random weights, ready for a step without guidance."""
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    names = made_up_names(args.num_classes)
    model = MODELS.build(
        dict(Config.fromfile(DPT).model, arch=args.arch, pretrained=None, classes=names)
    )
    features = torch.nn.functional.normalize(torch.randn(len(names), model.text.tower.embed_dim))
    model.text.frozen = lambda: features
    model.head.set_epoch(10**6)
    return model.train()


def text_call(model: torch.nn.Module, count: int) -> Callable:
    """Text features of every k-th class by CoOp, and the gradient of the context."""
    names = model.classes[:: len(model.classes) // count][:count]
    prompt = CoOp(ModelInfo(None, names, model.text_tower))

    def call():
        model.text_tower(prompt()).square().sum().backward()

    return call


def step_call(model: torch.nn.Module, batch_size: int) -> Callable:
    """A training step, losses and gradients."""
    images = torch.randn(batch_size, 3, *model.backbone.image_size)
    samples = [DataSample().set_gt_label(i) for i in range(batch_size)]

    def call():
        model.parse_losses(model.loss(images, samples))[0].backward()

    return call


def measured(name: str, classes: int, call: Callable) -> dict:
    meter = Meter('cpu')
    began = time.thread_time()
    _, peak = meter.measure(call)
    seconds = time.thread_time() - began
    row = dict(
        part=name, classes=classes, cpu_s=seconds, ms_per_class=1e3 * seconds / classes, mib=peak
    )
    print(json.dumps(row), flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--arch', default='ViT-B-16-quickgelu')
    parser.add_argument('--num-classes', type=int, default=21_841)
    parser.add_argument('--few', type=int, default=1000)
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--json', help='also write the result here')
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = build(args)
    rows = [dict(tokens=model.text_prompt.packing.own.numel(), classes=args.num_classes)]
    print(json.dumps(rows[0]), flush=True)
    few = text_call(model, args.few)
    text_call(model, args.few // 4)()  # warm-up
    rows.append(measured('text', args.few, few))
    map_large_blocks()  # as a model built with text_checkpointing does
    model.text_tower.checkpointing = True
    rows.append(measured('text, checkpointing', args.few, few))
    rows.append(
        measured('DPT step, checkpointing', args.num_classes, step_call(model, args.batch_size))
    )
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1))


if __name__ == '__main__':
    main()
