"""Measure what the data of a training step take, as usual and with DeviceImagesHook.

    python tools/benchmark_data.py --workers 0 2 --json data.json

CPU seconds per step of the training's process and of the workers, for the built-in digits
(with the step itself, of DPT) and for synthetic JPEGs in the pipeline of the benchmarks, both
ways in turn in one process.
"""

import argparse
import json
import os.path as osp
import resource
import tempfile
import time
from os import makedirs
from statistics import median
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from PIL import Image

from mmdpt.datasets import share_dataset
from mmdpt.engine import DeviceImagesHook

CONFIGS = osp.join(osp.dirname(osp.dirname(osp.abspath(__file__))), 'configs')


def digits():
    """Config: DPT on the built-in example."""
    return Config.fromfile(osp.join(CONFIGS, 'dpt', 'dpt_tiny_digits_16shot.py'))


def jpegs():
    """Config: photos of 500 x 375, 16 per class, drawn here, at 224 x 224."""
    random = np.random.RandomState(0)
    root = tempfile.mkdtemp()
    for name in ('a', 'b', 'c', 'd'):
        for part in ('train', 'test'):
            folder = osp.join(root, part, name)
            makedirs(folder)
            for i in range(16 if part == 'train' else 1):
                small = random.randint(0, 256, (24, 32, 3), np.uint8)
                image = Image.fromarray(small).resize((500, 375), Image.Resampling.BICUBIC)
                image.save(osp.join(folder, f'{i}.jpg'), quality=90)
    cfg = Config.fromfile(osp.join(CONFIGS, '_base_', 'datasets', 'custom.py'))
    cfg.dataset.data_root = root
    cfg.train_dataloader.dataset.shots = 16
    return cfg


def one_round(loader, preprocessor, epochs=4):
    """CPU seconds per step: of this process, and of the workers."""
    before, begin = worker_seconds(), time.process_time()
    for _ in range(epochs):
        for batch in loader:
            preprocessor(batch, True)
    own, steps = time.process_time() - begin, epochs * len(loader)
    loader._iterator = None  # ends the workers, whose time then counts
    return own / steps, (worker_seconds() - before) / steps


def worker_seconds():
    """CPU seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(cfg, args, workers):
    """dict: Medians of both ways."""
    cfg.train_dataloader.update(num_workers=workers, persistent_workers=workers > 0)
    cfg.train_dataloader.batch_size = args.batch_size
    loaders = [Runner.build_dataloader(cfg.train_dataloader, seed=1) for _ in range(2)]
    preprocessors = [MODELS.build(dict(cfg.data_preprocessor)) for _ in range(2)]
    model = SimpleNamespace(identity=None, data_preprocessor=preprocessors[1])
    DeviceImagesHook(True).before_train(
        SimpleNamespace(
            train_dataloader=loaders[1], model=model, logger=MMLogger.get_current_instance()
        )
    )
    found = [[], []]
    for _ in range(args.rounds + 1):
        for times, *way in zip(found, loaders, preprocessors):
            times.append(one_round(*way))
    names = ('main_s', 'workers_s')
    return {
        way: {name: round(median(t), 5) for name, t in zip(names, zip(*times[1:]))}
        for way, times in zip(('usual', 'kept'), found)
    }


def step_seconds(cfg, args):
    """float: CPU seconds of DPT's step on the digits, data apart."""
    from mmdpt.engine.cli import build_runner

    cfg = cfg.copy()
    cfg.work_dir = tempfile.mkdtemp()
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    runner = build_runner(cfg)
    loader = runner.build_dataloader(cfg.train_dataloader, seed=1)
    wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
    model, times = runner.model.train(), []
    model.head.set_epoch(0)
    for batch in loader:
        data = model.data_preprocessor(batch, True)
        begin = time.process_time()
        wrapper.update_params(model.parse_losses(model(**data, mode='loss'))[0])
        times.append(time.process_time() - begin)
    return median(times[1:])


def main():
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--cases', nargs='+', default=['digits', 'jpegs'])
    parser.add_argument('--workers', nargs='+', type=int, default=[0, 2])
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--json')
    args = parser.parse_args()
    torch.set_num_threads(1)
    init_default_scope('mmpretrain')
    result = {}
    for case in args.cases:
        cfg = share_dataset(dict(digits=digits, jpegs=jpegs)[case]())
        result[case] = {}
        for n in args.workers:
            found = result[case][f'workers {n}'] = measure(cfg, args, n)
            print(case, n, json.dumps(found), flush=True)
        if case == 'digits':
            result[case]['step_s'] = round(step_seconds(cfg, args), 5)
            print(case, 'step_s', result[case]['step_s'], flush=True)
    if args.json:
        with open(args.json, 'w', encoding='utf-8') as file:
            json.dump(result, file, indent=1)


if __name__ == '__main__':
    main()
