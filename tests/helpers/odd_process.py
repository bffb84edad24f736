"""Two processes of which the second trains something else, for tests/test_rank_check.py."""

import json
import os

import torch
from mmengine.dist import get_rank

from helpers.gloo import config
from mmdpt.engine import rank_check
from mmdpt.engine.cli import build_runner

NAME = 'coop/coop_tiny_digits_16shot.py'


def lr(cfg):
    cfg.optim_wrapper.optimizer.lr = 0.5


def num_tokens(cfg):
    """Models that could not be joined."""
    cfg.model.text_prompt.num_tokens = 3


def test_images(cfg):
    cfg.test_dataloader.dataset.indices = 7


def shots(cfg):
    cfg.train_dataloader.dataset.shots = 2


def class_order(cfg):
    cfg.model.classes = [str(i) for i in reversed(range(5))]


def clip_weights(cfg):
    cfg.model.pretrained = 'other.pt'


def resumed(cfg):
    cfg.resume, cfg.load_from = True, 'equal/epoch_1.pth'


def learnt(cfg):
    """The same epoch of a file with other prompts."""
    checkpoint = torch.load('equal/epoch_1.pth', weights_only=True)
    for tensor in checkpoint['state_dict'].values():
        tensor.add_(1e-3)
    torch.save(checkpoint, 'changed.pth')
    cfg.load_from = 'changed.pth'


def image(runner):
    images = runner.train_dataloader.dataset.images
    path = runner.train_dataloader.dataset.get_data_info(3)['img_path']
    images[path] = 255 - images[path]


def draw(runner):
    runner.train_dataloader.dataset.draw_hash = 'another'


def class_names(runner):
    dataset = runner.train_dataloader.dataset
    dataset._metainfo['classes'] = tuple(reversed(dataset.metainfo['classes']))


def version(runner):
    rank_check.versions = lambda: dict(torch='1.0')


BEFORE = (lr, num_tokens, test_images, shots, class_order, clip_weights, resumed, learnt)
AFTER = (image, draw, class_names, version)


def train(case):
    """The error of a training, the same in both processes; None without."""
    odd = get_rank() == 1
    cfg = config(
        NAME,
        'equal' if case is None else f'odd_{get_rank()}',
        **{'model.arch': 'small.json', 'model.pretrained': 'clip.pt', 'train_cfg.max_epochs': 2},
    )
    cfg.experiment_name = f'{case} {get_rank()}'
    cfg.default_hooks.checkpoint.max_keep_ckpts = -1
    if case is learnt:
        cfg.resume, cfg.load_from = True, 'equal/epoch_1.pth'
    if odd and case in BEFORE:
        case(cfg)
    try:
        runner = build_runner(cfg)
        if odd and case in AFTER:
            case(runner)
        runner.train()
    except ValueError as error:
        return str(error)


def compare(rank):
    """Three processes, of which one or two are odd."""
    try:
        rank_check.check_processes(dict(same=1, rate=0.1 if rank == 1 else 0.2))
    except ValueError as error:
        return str(error)


def process(rank, world, folder):
    """One of several processes; leaves what it said in the folder."""
    os.chdir(folder)
    if world == 2:
        cases = (None, *BEFORE, *AFTER)
        said = {case.__name__ if case else 'equal': train(case) for case in cases}
    else:
        said = compare(rank)
    with open(f'said_{world}_{rank}.json', 'w') as file:
        json.dump(said, file)
