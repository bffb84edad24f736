"""Read the reference's files; build our model from their metadata."""

import json
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

from mmdpt.models.reference_names import from_reference
from mmdpt.models.reference_names import rules_of

from .settings import Settings, check_names

PRECISION = dict(float64='fp64', float32='fp32')


class Golden(NamedTuple):
    """One case file.

    Attributes:
        folder (Path): Where it lies, with the CLIP it names.
        meta (Settings): Hyper-parameters, class names, template.
        arrays (dict): All arrays by key, without ``meta``.
        dtype (str): 'float64' or 'float32', what we compute in.
        device (str): What we compute on.
    """

    folder: Path
    meta: Settings
    arrays: dict[str, np.ndarray]
    dtype: str
    device: str = 'cpu'

    def starts(self, prefix: str) -> dict[str, np.ndarray]:
        """Arrays whose key starts with ``prefix``, which is taken off."""
        return {
            key[len(prefix) :]: value
            for key, value in self.arrays.items()
            if key.startswith(prefix)
        }

    def images(self, key: str = 'images') -> torch.Tensor:
        """Images in the precision of the computation."""
        return self.tensor(key).to(getattr(torch, self.dtype))

    def tensor(self, key: str) -> torch.Tensor:
        """An array of the file, where we compute."""
        return torch.from_numpy(self.arrays[key]).to(self.device)


def to_arrays(found: dict) -> dict[str, np.ndarray]:
    """What was computed, as NumPy's arrays."""
    return {
        k: v.detach().cpu().numpy() if isinstance(v, torch.Tensor) else v for k, v in found.items()
    }


def read_npz(path: Path):
    """Return ``(meta, arrays)`` of an ``.npz`` file, without pickle."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    meta = json.loads(str(arrays.pop('meta'))) if 'meta' in arrays else {}
    return Settings(meta), arrays


def clip_config(path: Path):
    """open_clip config and weights of a ``clip_*.npz`` file."""
    meta, arrays = read_npz(path)
    size = meta['arch']
    config = dict(
        embed_dim=size['embed'],
        quick_gelu=True,
        vision_cfg=dict(
            image_size=size['image'],
            patch_size=size['patch'],
            width=size['vwidth'],
            layers=size['vlayers'],
            head_width=size['vwidth'] // meta['vision_heads'],
        ),
        text_cfg=dict(
            context_length=size['context'],
            vocab_size=size['vocab'],
            width=size['twidth'],
            heads=meta['text_heads'],
            layers=size['tlayers'],
        ),
    )
    return config, {k: torch.from_numpy(v) for k, v in arrays.items()}


def build_model(golden: Golden, start_values: bool = True, **parts) -> torch.nn.Module:
    """Build :class:`PromptedCLIP` for a case and set its start values.

    The weights go through a file and our loader, as a user's would.

    Args:
        golden (Golden): The case.
        start_values (bool): Load the file's; otherwise the model keeps its
            own.
        **parts: ``text_prompt``, ``visual_prompt``, ``head``, ``classes``,
            ``templates`` of the classifier.
    """
    from safetensors.torch import save_file

    init_default_scope('mmpretrain')
    meta = golden.meta
    check_names(parts.get('classes', meta['class_names']))
    config, weights = clip_config(golden.folder / meta['clip'])
    weights.update({k: torch.from_numpy(v) for k, v in golden.starts('fixed/').items()})
    with tempfile.TemporaryDirectory() as folder:
        file = f'{folder}/clip.safetensors'
        save_file({k: v.contiguous() for k, v in weights.items()}, file)
        model = MODELS.build(
            dict(
                type='PromptedCLIP',
                arch=config,
                pretrained=file,
                precision=PRECISION[golden.dtype],
                # The images come normalised.
                data_preprocessor=dict(mean=None, std=None, to_rgb=False),
                **dict(
                    dict(
                        classes=meta['class_names'],
                        templates=meta.get('template'),
                        logit_scale=meta.get('logit_scale'),
                    ),
                    **parts,
                ),
            )
        )
    start = {k: torch.from_numpy(v) for k, v in golden.starts('param/').items()}
    if start and start_values:
        kept = {n: t for n, t in model.state_dict().items() if n in dict(model.named_buffers())}
        model.load_state_dict(dict(kept, **from_reference(start, rules_of(meta['method']))))
    return model.to(golden.device)
