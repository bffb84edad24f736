"""What frozen backbones with prompts share, in any classifier."""

from typing import Any

import torch.nn as nn
from mmengine.logging import print_log
from mmengine.model import PretrainedInit, initialize
from mmpretrain.registry import MODELS

from ..clip.weights import weights_fingerprint
from ..learnt_state import KEY, check_tensors
from ..part import ModelInfo
from ..prompts.base import VisualPrompt


def build_prompt(cfg: dict | None, owner: str, tower: Any) -> VisualPrompt | None:
    """Build the visual prompt of a backbone that knows no text.

    Args:
        cfg (dict, optional): Config of the prompt.
        owner (str): The backbone's class, for messages.
        tower: The image tower, or its ``width``, ``depth`` and ``embed_dim``.

    Raises:
        ValueError: If it is not a visual prompt, or needs text features.
    """
    if cfg is None:
        return None
    kind, name = MODELS.get(cfg['type']), cfg['type']
    if kind is not None and not issubclass(kind, VisualPrompt):
        raise ValueError(f'{name} is not a visual prompt: {owner} takes VPT.')
    if kind is not None and kind.requires:
        raise ValueError(
            f'{name} makes its tokens from text features, and {owner} has '
            f'none: use VPT here, or {name} in PromptedCLIP.'
        )
    return MODELS.build(cfg, default_args=dict(about=ModelInfo(tower, classes=[])))


class PromptedBackbone:
    """Mixin for backbones in which only the prompt is learnt.

    Everything else is frozen and stays in evaluation mode during training
    (no dropout, no stochastic depth), as in the `public code of VPT
    <https://github.com/KMnP/vpt>`_. ``state_dict()`` holds the prompt only,
    and says which weights it belongs to; so a classifier's checkpoint holds
    the prompt, neck and head. The frozen weights come from the config.

    A subclass calls :meth:`freeze_all_but` at the end of its construction and
    has :meth:`weights_name`.
    """

    weights_loaded = False  # through load_state_dict
    _loading = False
    _fingerprint = (None, None)

    def weights_name(self) -> dict:
        """``arch`` and ``pretrained`` (str or None) of the frozen weights."""
        raise NotImplementedError

    def check_weights(self, expected: dict, found: dict) -> None:
        """Raise ValueError unless frozen weights that are being loaded
        fit."""
        raise NotImplementedError

    def freeze_all_but(self, part: nn.Module | None) -> None:
        """Freeze, and let state dicts hold only what ``part`` learns."""
        self.requires_grad_(False)
        if part is not None:
            part.requires_grad_(True)
        # Fixed here: a moving-average copy has no gradients at all.
        self.learnt_names = frozenset(n for n, p in self.named_parameters() if p.requires_grad)
        self._register_state_dict_hook(_on_save)
        self.register_load_state_dict_pre_hook(_before_load)

    def train(self, mode: bool = True) -> 'PromptedBackbone':
        """Only the prompt is ever in training mode."""
        super().train(mode)
        for name, part in self.named_children():
            if not any(n.startswith(f'{name}.') for n in self.learnt_names):
                part.train(False)
        return self

    def identity(self) -> dict:
        """What a checkpoint belongs to, in plain Python: ``arch``,
        ``pretrained`` and ``fingerprint`` of the frozen weights."""
        frozen = _tensors(self, learnt=False)
        # In this process the values change only in place or by replacement.
        state = [(t.data_ptr(), t._version) for t in frozen.values()]
        if self._fingerprint[0] != state:
            self._fingerprint = (state, weights_fingerprint(frozen))
        return dict(self.weights_name(), fingerprint=self._fingerprint[1])

    def load_own_weights(self) -> None:
        """Load what ``init_cfg`` names, unless it is there already.

        The Runner initialises models before a training only: in a test or a
        prediction the checkpoint with the prompts asks for it.
        """
        pretrained = pretrained_cfg(self.init_cfg)
        if self.weights_loaded or pretrained is None:
            return
        self._loading = True
        try:
            initialize(self, pretrained)
        finally:
            self._loading = False


def pretrained_cfg(init_cfg) -> dict | None:
    """The ``Pretrained`` entry of an ``init_cfg``, if it has one."""
    cfgs = [init_cfg] if isinstance(init_cfg, dict) else init_cfg or []
    return next((c for c in cfgs if c['type'] in ('Pretrained', PretrainedInit)), None)


def _tensors(backbone, learnt: bool) -> dict:
    """Parameters and saved buffers by name, the learnt or the frozen ones."""
    tensors = dict(backbone.named_parameters())
    tensors.update(
        (f'{path}.{n}'.lstrip('.'), b)
        for path, m in backbone.named_modules()
        for n, b in m.named_buffers(recurse=False)
        if n not in m._non_persistent_buffers_set
    )
    return {n: t for n, t in tensors.items() if (n in backbone.learnt_names) == learnt}


def _on_save(backbone, state_dict, prefix, local_metadata):
    for name in _tensors(backbone, learnt=False):
        state_dict.pop(prefix + name, None)
    local_metadata[KEY] = backbone.identity()


def _before_load(
    backbone, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
):
    """Tell frozen weights from learnt prompts, check them, and leave the
    other ones as they are."""
    frozen, learnt = (_tensors(backbone, learnt=part) for part in (False, True))
    found = {n[len(prefix) :]: v for n, v in state_dict.items() if n.startswith(prefix)}
    if frozen.keys() & found:
        backbone.check_weights(frozen, found)
        backbone.weights_loaded = True
    elif backbone._loading:
        raise ValueError(
            f'{backbone.init_cfg} holds no weights of '
            f'{type(backbone).__name__}, but {", ".join(sorted(found)[:3])}, '
            "...: set prefix='backbone' in init_cfg for a checkpoint of a "
            'classifier, or leave prefix out for one of a bare backbone.'
        )
    else:
        backbone.load_own_weights()
        check_weights_identity(backbone.identity(), local_metadata.get(KEY))
        check_tensors(learnt, found)
    for name, tensor in {**frozen, **learnt}.items():
        state_dict.setdefault(prefix + name, tensor.detach())


def check_weights_identity(mine: dict, theirs: dict | None) -> None:
    """Raise ValueError unless prompts were learnt on these frozen weights.

    Args:
        mine (dict): ``identity()`` of the backbone.
        theirs (dict, optional): The checkpoint's.
    """
    if theirs is None:
        print_log(
            'The state dict does not say on which frozen weights its prompts '
            'were learnt; only shapes are checked.',
            logger='current',
            level=30,
        )
    elif theirs.get('fingerprint') != mine['fingerprint']:
        old, new = (
            f'{w.get("arch")} with weights {w.get("pretrained")} '
            f'(fingerprint {w.get("fingerprint")})'
            for w in (theirs, mine)
        )
        raise ValueError(
            f'The checkpoint was trained on {old}, but the backbone is {new}: '
            'prompts fit only the weights they were learnt on. Set arch and '
            'weights of model.backbone to those (the weights in '
            'model.backbone.init_cfg, or pretrained for a CLIP).'
        )
