"""The towers' upper blocks learn; those below are as CLIP made them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn as nn
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_count

from ..part import ModelInfo
from .base import Tuning

BEHIND = ('visual.ln_post.', 'visual.proj', 'ln_final.', 'text_projection')  # the blocks


@MODELS.register_module()
class UpperBlocks(Tuning):
    """All weights of both towers from one block on.

    `Skip Tuning <https://arxiv.org/abs/2412.11509>`_, section 4.1 (layer-wise
    skipping): the blocks, the last LayerNorms and the projections to the joint
    space. What is learnt is a copy, in at least single precision, that stands
    in front of the tower's own weights; the states below are constants.

    Args:
        about (ModelInfo): The model.
        first (int): The first block that learns, from 0, of both towers.
        init_cfg (dict, optional): Not used; the values start as CLIP's.

    Raises:
        ValueError: If a tower has no such block, is not open_clip's, or
            computes its activations again (the copy would be missed there).
    """

    def __init__(self, about: ModelInfo, first: int = 6, init_cfg: dict | None = None):
        super().__init__(about, init_cfg)
        self._places: list[tuple[nn.Module, str, nn.Parameter]] = []
        for name, tower in dict(image=about.image_tower, text=about.text_tower).items():
            if not getattr(tower, 'takes_lora', True):
                raise ValueError(
                    f'UpperBlocks tunes the blocks of open_clip, but those of the {name} tower are '
                    "timm's: use a CLIP ViT such as ViT-B-16-quickgelu."
                )
            depth = len(tower.blocks)
            check_count('first', first, 0, depth - 1, f'the {name} tower has {depth} blocks')
            copies = nn.Module()
            for path, parameter in upper_parameters(tower, first):
                place, _, own = path.rpartition('.')
                kept = _submodule(copies, place)
                kept.register_parameter(own, nn.Parameter(parameter.detach().clone()))
                self._places.append((tower.get_submodule(place), own, getattr(kept, own)))
            self.add_module(name, copies)
            for block in tower.blocks[first:]:
                block.tuned = True
        self.constant_below = self.text_constant_below = first
        self._put()

    def text_parameters(self) -> list[nn.Parameter]:
        return list(self.text.parameters())

    def _put(self) -> None:
        for module, name, parameter in self._places:
            # Found before the module's own of that name, and not registered
            # there: what is learnt is here alone.
            object.__setattr__(module, name, parameter)

    @contextmanager
    def off(self) -> Iterator[None]:
        """The towers are the frozen ones inside this context."""
        inside_another = self._places[0][1] not in vars(self._places[0][0])
        for module, name, _ in self._places:
            vars(module).pop(name, None)
        try:
            yield
        finally:
            if not inside_another:
                self._put()


@torch.no_grad()
def merge_copies(tower: nn.Module) -> None:
    """Make the learnt weights of a tower its own."""
    for module in tower.modules():
        for name, own in module.named_parameters(recurse=False):
            own.copy_(vars(module).pop(name, own))


def upper_parameters(tower: nn.Module, first: int) -> Iterator[tuple[str, nn.Parameter]]:
    """Names and values of a tower's parameters from block ``first`` on."""
    blocks = next(name for name, module in tower.named_modules() if module is tower.blocks)
    starts = tuple(f'{blocks}.{i}.' for i in range(first, len(tower.blocks))) + BEHIND
    return ((name, p) for name, p in tower.named_parameters() if name.startswith(starts))


def _submodule(root: nn.Module, path: str) -> nn.Module:
    """The module at a path, made where there is none."""
    for name in path.split('.') if path else ():
        if name not in root._modules:
            root.add_module(name, nn.Module())
        root = root.get_submodule(name)
    return root
