"""Folders as a finished training on own photos leaves them, without the training."""

import json

import numpy as np
import torch
from PIL import Image

from mmdpt.evaluation.predictions import PREDICTIONS, ZERO_SHOT, Predictions
from mmdpt.utils.files import sha256_of
from mmdpt.utils.seal import sealed

CLASSES = ('cup', 'fork', 'plate')
CONFIG = """
dataset = dict(name='Own', own=True, data_root={root!r})
model = dict(type='PromptedCLIP', text_prompt=dict(type='CoOp', num_tokens={tokens}))
{part}_dataloader = dict(dataset=dict(type='FewShotDataset', benchmark=dict(name='Own'),
    data_root={root!r}, split='{part}', pipeline=[dict(type='LoadPILImage', upright=True)]))
"""


def write_photos(root, classes=CLASSES, test=4, train=2, size=20):
    """Write ``root/{train,test}/CLASS/N.png`` of noise; return the keys of the test list."""
    noise = np.random.default_rng(0)
    keys = []
    for part, count in (('train', train), ('test', test)):
        for name in classes:
            folder = root / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = noise.integers(0, 256, (size, size, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f'{i}.png')
                keys += [f'{part}/{name}/{i}.png'] if part == 'test' else []
    return keys


def answers(truth, wrong, classes=len(CLASSES), sure=4.0):
    """Logits (N, C) that are right but for some photos, each taken for the next class.

    Args:
        truth (Tensor): (N,) labels.
        wrong (Sequence[int]): Photos; of the first the model is surest.
        classes (int): C.
        sure (float): Logit of the right answers; the others' are 0.
    """
    logits = torch.zeros(len(truth), classes)
    for i, label in enumerate(truth.tolist()):
        place = wrong.index(i) if i in wrong else None
        if place is None:
            logits[i, label] = sure + i / 1000
        else:
            logits[i, (label + 1) % classes] = sure + 1 - place / 10
    return logits


def write_run(folder, root, keys, classes=CLASSES, wrong=(0,), before=(0, 1, 2), **results):
    """Write a run's folder.

    Args:
        folder (Path): Made anew.
        root (Path): Of the photos.
        keys (list[str]): The test list: equally many of each class, in order.
        classes (Sequence[str]): The names.
        wrong (Sequence[int]): Photos that the model gets wrong.
        before (Sequence[int], optional): Those that zero-shot CLIP gets wrong; None: unknown.
        **results: Changes of ``results.json``.
    """
    folder.mkdir()
    truth = torch.arange(len(classes)).repeat_interleave(len(keys) // len(classes))
    for name, mistakes in ((PREDICTIONS, wrong), (ZERO_SHOT, before)):
        if mistakes is not None:
            logits = answers(truth, list(mistakes), len(classes))
            about = dict(used_for=dict(training=dict(split='train'), calibration=None))
            Predictions(logits, truth, list(keys), list(classes), about).write(str(folder / name))
    text = ''.join(CONFIG.format(root=str(root), part=part, tokens=4) for part in ('train', 'test'))
    (folder / 'coop_tiny_own.py').write_text(text)
    n = len(keys)
    said = dict(
        config='coop_tiny_own.py',
        benchmark='Own',
        shots=None,
        seed=1,
        few_shot={'accuracy/top1': 100 * (n - len(wrong)) / n},
        zero_shot={'accuracy/top1': 100 * (n - len(before or ())) / n},
        baselines=dict(linear_probe=50.0),
        test_images=n,
        train_seconds=3.0,
        versions=dict(torch='2.x'),
        files={PREDICTIONS: sha256_of(str(folder / PREDICTIONS)).hexdigest()},
    )
    (folder / 'results.json').write_text(json.dumps(sealed({**said, **results})))
    return folder
