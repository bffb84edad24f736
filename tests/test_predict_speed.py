"""Predicting costs what the towers cost, in constant memory."""

import time

import numpy as np
import pytest
import torch
from PIL import Image

from mmdpt.apis import PromptInferencer
from mmdpt.apis.plan import build, zero_shot_plan

ARCH = 'ViT-B-16-quickgelu'
DPT = dict(
    type='PromptedCLIP',
    arch=ARCH,
    pretrained=None,
    templates=['a photo of a {}.'],
    text_prompt=dict(type='CoOp'),
    visual_prompt=dict(type='CAVPT'),
    head=dict(type='DPTHead', guided_epochs=1),
)
CLASSES = [f'thing {i}' for i in range(100)]


@pytest.fixture
def photos(tmp_path):
    """Files of 640 x 480, the size of the benchmarks' images."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    image = Image.fromarray(noise).resize((640, 480))
    for i in range(16):
        image.rotate(i).save(tmp_path / f'{i}.jpg', quality=90)
    return [str(tmp_path / f'{i}.jpg') for i in range(16)]


class Clock:
    """Processor time inside some methods, of one thread."""

    def __init__(self):
        self.seconds, self.inside = 0.0, False

    def watch(self, owner, name):
        function = getattr(owner, name)

        def timed(*args, **kwargs):
            if self.inside:
                return function(*args, **kwargs)
            self.inside, start = True, time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.process_time() - start
                self.inside = False

        setattr(owner, name, timed)


def inferencer(method):
    plan = zero_shot_plan(CLASSES, None, ARCH, None)
    plan = plan._replace(model=DPT) if method == 'dpt' else plan
    made = PromptInferencer.__new__(PromptInferencer)
    made._start(plan, build(plan), 'cpu', True)
    return made


@pytest.mark.slow
@pytest.mark.parametrize('method', ['zero-shot', 'dpt'])
def test_costs_the_towers(photos, method):
    """From the files to the probabilities, at most 1.1 times the towers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made, clock = inferencer(method), Clock()
    for owner, name in (
        (made.model.backbone, 'embed'),
        (made.model.backbone, 'forward'),
        (made.model.text_tower, 'forward'),
    ):
        clock.watch(owner, name)
    start = time.process_time()
    assert len(list(made.stream(photos, 8))) == 16
    whole = time.process_time() - start
    torch.set_num_threads(threads)
    print(f'{method}: {whole:.2f} s, of it the towers {clock.seconds:.2f} s')
    assert clock.seconds < whole <= 1.1 * clock.seconds


def resident():
    """MiB of memory that this process holds."""
    with open('/proc/self/status') as file:
        return next(int(line.split()[1]) for line in file if line.startswith('VmRSS')) / 1024


@pytest.mark.slow
def test_constant_memory(photos):
    made = PromptInferencer.zero_shot(
        CLASSES, arch='mmdpt-tiny', pretrained='mmdpt-tiny', device='cpu'
    )
    held = {}
    for i, _ in enumerate(made.stream([photos[i % 16] for i in range(1000)]), 1):
        if i in (100, 1000):
            held[i] = resident()
    print(held)
    assert held[1000] - held[100] < 20
