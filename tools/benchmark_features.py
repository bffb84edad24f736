"""Time the training of every head on kept features, after the towers have made them.

    python tools/benchmark_features.py --views 1 10

Random features of ViT-B/16's size (512; 768 before the last projection), in clusters: 16 shots of
100 classes, 4 validation images per class. ``fit``, steps, and ``search`` are those of the base
configs, batches of 256 for as many epochs as the leaf on EuroSAT has. Seconds are a core's (CPU
time); nothing is loaded and no image is seen.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'tests'))

from mmengine.config import Config  # noqa: E402
from mmengine.optim import build_optim_wrapper  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmpretrain.registry import MODELS  # noqa: E402
from mmpretrain.structures import DataSample  # noqa: E402

import mmdpt.engine  # noqa: E402, F401
from helpers.kept import labelled, space  # noqa: E402
from helpers.plain import small_clip  # noqa: E402

BATCH = 256
METHODS = {  # and epochs of steps
    'gda': 0,
    'lppp': 0,
    'linear_probe': 0,
    'zs_lp': 300,
    'clap': 300,
    'crossmodal_lp': 300,
    'prolip': 0,
    'ape': 0,
    'tip_adapter': 0,
    'tip_adapter_f': 100,
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--methods', nargs='+', choices=METHODS, default=[*METHODS])
    parser.add_argument('--views', type=int, nargs='+', default=[1, 10])
    parser.add_argument('--num-classes', type=int, default=100)
    parser.add_argument('--shots', type=int, default=16)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--json', help='also write the result here')
    return parser.parse_args()


def build(cfg: Config, classes: int, keys: int):
    """The method on towers of one block, which nothing passes through."""
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    arch = dict(small_clip(layers=1, width=768), embed_dim=512)
    model = dict(
        cfg.model,
        arch=arch,
        pretrained=None,
        classes=[f'c {i}' for i in range(classes)],
        data_preprocessor=dict(mean=None, std=None),  # features go as they are, as in the loop
    )
    if 'num_keys' in model['head']:
        model['head'] = dict(model['head'], num_keys=keys)
    return MODELS.build(model)


def run(method: str, views: int, classes: int, shots: int) -> dict:
    """CPU seconds of ``fit``, of the steps and of ``search``."""
    cfg = Config.fromfile(ROOT / f'configs/_base_/methods/{method}.py')
    model = build(cfg, classes, shots * classes)
    loop, count = cfg.loop, shots * classes
    views = 1 if loop.get('views') == 'plain' else views
    task = space(model, count, views, 4 * classes)
    fit = {k: v for k, v in (loop.get('fit') or {}).items() if k != 'views'}
    seconds = dict(fit=clock(lambda: model.head.fit(task, **fit)))
    if METHODS[method]:
        rows = labelled(model, count, views, classes)
        seconds['steps'] = clock(lambda: steps(model, cfg, rows, count, METHODS[method]))
    if loop.get('search') is not None:
        seconds['search'] = clock(lambda: model.head.search(task.val(), **loop.search))
    return dict(seconds, all=sum(seconds.values()))


def steps(model, cfg: Config, rows, count: int, epochs: int) -> None:
    """As FeatureTrainLoop takes them."""
    optim = build_optim_wrapper(model, cfg.optim_wrapper)
    features = rows.match.image
    samples = [DataSample().set_gt_label(int(label)) for label in rows.labels]
    model.train()
    for epoch in range(epochs):
        model.head.set_epoch(epoch)
        order = torch.randperm(len(features))
        for batch in order[: count // BATCH * BATCH].split(BATCH):
            model.train_step(
                dict(inputs=features[batch], data_samples=[samples[i] for i in batch]), optim
            )
        if hasattr(model.head, 'end_epoch'):
            model.head.end_epoch()


def clock(call) -> float:
    """CPU seconds of this process."""
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> None:
    args = parse_args()
    torch.set_num_threads(args.threads)
    found: dict = {}
    for method in args.methods:
        for views in args.views:
            seconds = run(method, views, args.num_classes, args.shots)
            found.setdefault(method, {})[views] = seconds
            told = ', '.join(f'{name} {value:.2f} s' for name, value in seconds.items())
            print(f'{method:14} V={views:<3} {told}', flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps(found, indent=1))


if __name__ == '__main__':
    main()
