"""Folders in the layout of Hugging Face's ``CLIPModel``: read, with open_clip's names.

transformers keeps q, k and v apart, and projections as ``nn.Linear``, (E, W); open_clip has
them in one matrix, (3W, W), and projections as (W, E). Nothing is computed, so the values
are those of the files.
"""

import re
from pathlib import Path

import torch
from pydantic import ConfigDict, ValidationError

from mmdpt.utils.files import read_regular
from mmdpt.utils.values import Closed, first_fault

from .hf_config import LARGEST_JSON, check_same, read_hf_config
from .weight_file import read_weights

STEMS = ('model.safetensors', 'pytorch_model.bin')  # the first one that is there is read
CONFIG = 'config.json'
BLOCK = re.compile(r'(text|vision)_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)')
TOWERS = {'text': '', 'vision': 'visual.'}
IN_BLOCK = {
    'layer_norm1': 'ln_1.',
    'layer_norm2': 'ln_2.',
    'self_attn.out_proj': 'attn.out_proj.',
    'mlp.fc1': 'mlp.c_fc.',
    'mlp.fc2': 'mlp.c_proj.',
}
NAMES = {
    'logit_scale': 'logit_scale',
    'text_projection.weight': 'text_projection',
    'visual_projection.weight': 'visual.proj',
    'text_model.embeddings.token_embedding.weight': 'token_embedding.weight',
    'text_model.embeddings.position_embedding.weight': 'positional_embedding',
    'text_model.final_layer_norm.weight': 'ln_final.weight',
    'text_model.final_layer_norm.bias': 'ln_final.bias',
    'vision_model.embeddings.class_embedding': 'visual.class_embedding',
    'vision_model.embeddings.patch_embedding.weight': 'visual.conv1.weight',
    'vision_model.embeddings.position_embedding.weight': 'visual.positional_embedding',
    'vision_model.pre_layrnorm.weight': 'visual.ln_pre.weight',  # transformers' spelling
    'vision_model.pre_layrnorm.bias': 'visual.ln_pre.bias',
    'vision_model.post_layernorm.weight': 'visual.ln_post.weight',
    'vision_model.post_layernorm.bias': 'visual.ln_post.bias',
}
TRANSPOSED = ('text_projection', 'visual.proj')
COUNTERS = ('text_model.embeddings.position_ids', 'vision_model.embeddings.position_ids')


class Index(Closed):
    """Which file of several holds which tensor."""

    model_config = ConfigDict(extra='ignore')

    weight_map: dict[str, str]


def weight_files(folder: Path) -> list[Path]:
    """Files of a folder that may hold a CLIPModel's weights, in the order of looking."""
    return [folder / f'{stem}{end}' for stem in STEMS for end in ('', '.index.json')]


def read_hf_folder(folder: Path, name: str, config: dict) -> dict[str, torch.Tensor]:
    """Read a folder of transformers for an architecture.

    Args:
        folder (Path): With ``config.json`` and ``model.safetensors`` or ``pytorch_model.bin``,
            or several of them and an index.
        name (str): The architecture, for messages.
        config (dict): Of the architecture, in open_clip's form.

    Returns:
        dict[str, Tensor]: By open_clip's names.

    Raises:
        ValueError: If the folder's model is another one, or a file is damaged.
    """
    check_same(folder, read_hf_config(folder / CONFIG), name, config)
    path = next(file for file in weight_files(folder) if file.is_file())
    try:
        return convert(_read(path))
    except ValueError as error:
        raise ValueError(f'{folder}: {error}') from error


def _read(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix != '.json':
        return read_weights(path)[0]
    try:
        index = Index.model_validate_json(read_regular(str(path), LARGEST_JSON)).weight_map
    except ValidationError as error:
        raise ValueError(f'{path.name} is no index: {first_fault(error)}') from None
    tensors: dict[str, torch.Tensor] = {}
    for file in sorted(set(index.values())):
        if Path(file).name != file or file in ('.', '..'):
            raise ValueError(f'{path.name} names {file[:80]!r}, which is not in its folder')
        if not (path.parent / file).is_file():
            raise ValueError(f'{path.name} names {file}, which is missing; download it again')
        part = read_weights(path.parent / file)[0]
        wrong = {key for key, place in index.items() if place == file} ^ set(part)
        if wrong:
            raise ValueError(
                f'{path.name} and {file} do not agree about {min(wrong)}; download them again'
            )
        tensors |= part
    return tensors


def convert(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A CLIPModel's tensors by open_clip's names.

    Args:
        tensors (dict[str, Tensor]): As transformers names them.

    Raises:
        ValueError: If a name is none of a CLIPModel's, or of q, k and v one is missing or of
            another size.
    """
    found: dict[str, torch.Tensor] = {}
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key in COUNTERS:
            continue
        block = BLOCK.fullmatch(key)
        if key in NAMES:
            turned = NAMES[key] in TRANSPOSED and value.dim() == 2
            found[NAMES[key]] = value.mT.contiguous() if turned else value
        elif block and block[3] in IN_BLOCK:
            found[f'{_block(block)}{IN_BLOCK[block[3]]}{block[4]}'] = value
        elif block and re.fullmatch(r'self_attn\.[qkv]_proj', block[3]):
            joint = f'{_block(block)}attn.in_proj_{block[4]}'
            parts.setdefault(joint, {})[block[3][len('self_attn.')]] = value
        else:
            raise ValueError(f'{key[:80]} is no tensor of a CLIPModel')
    for joint, three in parts.items():
        missing = sorted(set('qkv') - set(three))
        if missing or len({t.shape for t in three.values()}) > 1:
            what = f'lacks {missing[0]}_proj' if missing else 'has q, k, v of different sizes'
            raise ValueError(f'{joint.replace("attn.in_proj_", "attention, ")} {what}')
        found[joint] = torch.cat([three[p] for p in 'qkv'])
    return found


def _block(match: re.Match) -> str:
    return f'{TOWERS[match[1]]}transformer.resblocks.{match[2]}.'
