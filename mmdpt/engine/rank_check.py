"""All processes of a training must train the same."""

import hashlib
import os
from collections import Counter
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import all_gather_object, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import nn

from mmdpt.utils.unwrap import unwrapped

from .entry import belongs_to
from .image_digest import image_digests, training_images
from .provenance import versions
from .settings import changes, config_settings, settings_hash, shown

REMEDY = 'Give all processes the same config, data, weights and software'


@HOOKS.register_module()
class SameTrainingHook(Hook):
    """Compare the processes before the first step: settings, versions, images, classes, weights.

    One that differs would train on, and only the first one's figures would be
    told.

    Raises:
        ValueError: Names the process that is odd, and what differs.
    """

    priority = 'VERY_HIGH'  # before anything that they do together

    def before_train(self, runner):
        """Compare what is trained, on which images, from which weights."""
        if get_world_size() == 1:
            return
        facts = {**process_facts(runner.cfg, unwrapped(runner.model)), **_images(runner)}
        facts.update(belongs_to(runner), epoch=runner.epoch, iteration=runner.iter)
        facts['learnt weights'] = _digest(unwrapped(runner.model))
        check_processes(facts)


def process_facts(cfg: Config, model: Any) -> dict[str, Any]:
    """Return what must be the same before the processes' models are joined."""
    identity = model.identity() if hasattr(model, 'identity') else {}
    found = {**config_settings(cfg, with_tests=True), **identity}
    return {**found, **{f'version of {name}': v for name, v in versions().items()}}


def check_processes(facts: dict[str, Any]) -> None:
    """Raise unless all processes call this with the same facts.

    Args:
        facts (dict[str, Any]): Names and values of plain Python.

    Raises:
        ValueError: On all processes; names the odd ones, and what differs.
    """
    hashes = all_gather_object(settings_hash(facts))
    if len(set(hashes)) == 1:
        return
    usual = Counter(hashes).most_common(1)[0][0]  # of equally many, the first one's
    usual_rank = hashes.index(usual)
    odd = [rank for rank, found in enumerate(hashes) if found != usual]
    everywhere = all_gather_object((os.uname().nodename, facts))
    host, theirs = everywhere[odd[0]]
    differing = '; '.join(
        f'{name} is {mine} on rank {usual_rank} and {other} on rank {odd[0]}'
        for name, values in changes(everywhere[usual_rank][1], theirs).items()
        for mine, other in [shown(*values)]
    )
    names = f'rank{"s" * (len(odd) > 1)} {", ".join(map(str, odd))}'
    raise ValueError(
        f'{names} of {len(hashes)} would not train what the others do (rank {odd[0]} runs on '
        f'{host}): {differing}. {REMEDY}'
    )


def _images(runner: Runner) -> dict[str, Any]:
    """Of training and tests; times of files differ between machines."""
    loaders = dict(train=runner.train_dataloader)
    if runner.val_loop is not None:
        loaders['val'] = runner.val_dataloader
    if runner.test_loop is not None:
        loaders['test'] = runner.test_dataloader
    found: dict[str, Any] = {}
    for name, loader in loaders.items():
        found[f'{name} images'] = len(loader.dataset)
        metainfo = getattr(loader.dataset, 'metainfo', None) or {}
        found[f'{name} classes'] = list(metainfo.get('classes') or [])
        if name == 'train':
            digests = training_images(runner)
        else:
            digests = image_digests(loader.dataset, contents=False)
        for key, digest in digests.items():
            if key != 'images.times':
                found[f'{name} {key}'] = digest
    return found


def _digest(model: nn.Module) -> str:
    """Hash of what is learnt."""
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            digest.update(f'{name} {tuple(parameter.shape)} {parameter.dtype}'.encode())
            digest.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
