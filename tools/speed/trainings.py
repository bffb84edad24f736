"""Whole trainings: equal bit for bit, resumed as if never broken off, and what each part takes."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .models import ROOT, build
from .setting import Setting, each
from .tasks import Task

EPOCHS = 2


def deterministic_steps(setting: Setting) -> Iterator[dict]:
    """Two equal steps give equal bits under torch.use_deterministic_algorithms, which
    raises where an operation has no such form."""
    os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    torch.use_deterministic_algorithms(True)

    def twice(method: str, dtype: str) -> dict:
        model = build(10, setting.tower, setting.device, dtype, setting.method(method))
        task = Task('train_step', model, 4)
        one, two = task.run(False), task.run(False)
        return dict(passed=all(torch.equal(a, b) for a, b in zip(one, two)))

    dtypes = ['fp32'] if setting.small else ['fp32', 'bf16']
    yield from each(
        [dict(method=m, dtype=d) for d in dtypes for m in setting.methods], twice, setting
    )


def resumed(setting: Setting) -> Iterator[dict]:
    """A training that was broken off and resumed leaves the same checkpoint and results as a
    whole one, bit for bit, on one device."""
    from helpers.kill_and_resume import differences, parts

    os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')

    def compare(method: str, deterministic: bool) -> dict:
        with tempfile.TemporaryDirectory() as folder:
            whole, broken = (f'{folder}/{name}' for name in ('whole', 'broken'))
            train(method, whole, deterministic)
            train(method, broken, deterministic, stop_after=1)
            train(method, broken, deterministic, resume=True)
            wrong = differences(parts(whole), parts(broken))
        found = dict(different=', '.join(wrong[:5]))
        return dict(found, passed=not wrong) if deterministic else dict(found, equal=not wrong)

    methods = ('dpt',) if setting.small else ('dpt', 'coop')
    # the last is told, not judged: nobody promised it
    cells = [dict(method=m, deterministic=d) for d in (True, False) for m in methods]
    yield from each(cells[:1] if setting.small else cells, compare, setting)


class Broken(Exception):
    """Ends a training early."""


def train(
    method: str, work_dir: str, deterministic: bool, stop_after: int = 0, resume: bool = False
) -> None:
    """Train on the built-in example, perhaps not to the end."""
    from helpers.short_runs import short_config
    from mmengine.hooks import Hook
    from mmdpt.cli.train import resume_from
    from mmdpt.engine.cli import build_runner

    class Stop(Hook):
        priority = 'VERY_LOW'

        def before_train_epoch(self, runner) -> None:
            if stop_after and runner.epoch == stop_after:
                raise Broken

    cfg = short_config(
        method,
        work_dir,
        EPOCHS,
        randomness__deterministic=deterministic,
        default_hooks__report__enable=True,
        default_hooks__report__baselines=[],
        log_level='ERROR',
    )
    if resume:
        resume_from(cfg, 'auto')
    runner = build_runner(cfg)
    runner.register_hook(Stop())
    try:
        runner.train()
    except Broken:
        pass


def whole_run(setting: Setting) -> Iterator[dict]:
    """A 16-shot training of 10 classes with JPEGs, from the files to the test, in its parts."""
    with tempfile.TemporaryDirectory() as folder:
        photos = write_photos(Path(folder), setting)
        yield from decoding(photos)
        yield from training(setting, folder)


def write_photos(folder: Path, setting: Setting) -> list[str]:
    """JPEGs of noise over a colour per class: 16 to train and 10 to test per class."""
    classes, train_count, test_count = (3, 2, 1) if setting.small else (10, 16, 10)
    size, noise, found = (40, 48) if setting.small else (375, 500), np.random.RandomState(0), []
    for split, count in (('train', train_count), ('test', test_count)):
        for label in range(classes):
            place = folder / 'photos' / split / f'class {chr(97 + label)}'
            place.mkdir(parents=True)
            colour = noise.randint(0, 200, 3)
            for i in range(count):
                coarse = noise.randint(0, 56, (size[0] // 8, size[1] // 8, 3)) + colour
                image = Image.fromarray(coarse.astype(np.uint8)).resize(size[::-1])
                image.save(place / f'{i}.jpg', quality=90)
                found.append(str(place / f'{i}.jpg'))
    return found


def decoding(photos: list[str]) -> Iterator[dict]:
    """Reading and decoding alone."""
    began = time.perf_counter()
    for path in photos:
        np.asarray(Image.open(path).convert('RGB'))
    seconds = time.perf_counter() - began
    yield dict(what='decode', images=len(photos), seconds=seconds)


def training(setting: Setting, folder: str) -> Iterator[dict]:
    """DPT on the photos: building, waiting for data, training, testing."""
    from mmengine.config import Config
    from mmdpt.engine.cli import build_runner

    name = 'dpt_tiny_custom' if setting.small else 'dpt_vitb16_custom'
    cfg = Config.fromfile(ROOT / f'configs/dpt/{name}.py')
    epochs = 2 if setting.small else 10
    cfg.merge_from_dict(
        {
            'work_dir': f'{folder}/run',
            'dataset.data_root': f'{folder}/photos',
            'train_cfg.max_epochs': epochs,
            'default_hooks.report.enable': False,
            'log_level': 'ERROR',
        }
    )
    if not setting.small:
        cfg.model.update(arch=setting.arch, pretrained=None)
    began = time.perf_counter()
    runner = build_runner(cfg)
    yield dict(what='build', seconds=time.perf_counter() - began)
    began = time.perf_counter()
    runner.train()
    seconds = time.perf_counter() - began
    logs = runner.message_hub.log_scalars
    waits, steps = (logs[f'train/{k}'].data[0] for k in ('data_time', 'time'))
    per_epoch = len(waits) // epochs
    images = len(runner.train_dataloader.dataset)
    yield dict(what='train, all of it', images=images * epochs, seconds=seconds)
    yield dict(what='its steps', steps=len(steps), seconds=float(sum(steps)))
    yield dict(
        what='waiting for data (decode, augment, collate), first epoch',
        steps=per_epoch,
        seconds=float(sum(waits[:per_epoch])),
    )
    yield dict(
        what='the same, later epochs',
        steps=len(waits) - per_epoch,
        seconds=float(sum(waits[per_epoch:])),
        share_of_steps=float(sum(waits[per_epoch:]) / sum(steps[per_epoch:])),
    )
    dataset, began = runner.train_dataloader.dataset, time.perf_counter()
    for i in range(len(dataset)):
        dataset[i]
    seconds = time.perf_counter() - began
    yield dict(what='augment (images in memory)', images=len(dataset), seconds=seconds)
    began = time.perf_counter()
    metrics = runner.test()
    seconds = time.perf_counter() - began
    yield dict(
        what='test',
        images=len(runner.test_dataloader.dataset),
        seconds=seconds,
        accuracy=float(next(iter(metrics.values()))),
    )
