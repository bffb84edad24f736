"""Names of learnt tensors in the reference code of CoOp, VPT and DPT."""
import re
from typing import Dict

import torch

Tensors = Dict[str, torch.Tensor]
_VISION = 'image_encoder.transformer.'
_PLAIN = {
    'prompt_learner.ctx': 'text_prompt.context',
    f'{_VISION}ctx_learner.ctx': 'visual_prompt.tokens',
}
_LAYER_TOKENS = f'{_VISION}extractor.ctx'  # one tensor for all layers
_LAYER = {
    'meta_nets.{}': 'class_proj',
    'attns.{}.qmlp': 'query',
    'attns.{}.kmlp': 'key',
    'attns.{}.vmlp': 'value',
    'lns.{}': 'evidence_norm',
    'classfiers.{}': 'evidence',  # spelt so there
    'lns2.{}': 'prompt_norm',
}


def from_reference(tensors: Tensors) -> Tensors:
    """Rename the reference's learnt tensors to ours.

    Args:
        tensors (dict): By their path in the reference model.

    Returns:
        dict: By their name in :class:`PromptedCLIP`.

    Raises:
        ValueError: If a name is unknown.
    """
    ours = {}
    for name, tensor in tensors.items():
        if name in _PLAIN:
            ours[_PLAIN[name]] = tensor
        elif name == _LAYER_TOKENS:
            for i, layer in enumerate(tensor):
                ours[f'visual_prompt.layers.{i}.tokens'] = layer
        else:
            ours[_rename_layer(name)] = tensor
    return ours


def to_reference(tensors: Tensors) -> Tensors:
    """Rename our learnt tensors to the reference's; the way back of
    :func:`from_reference`."""
    plain = {ours: theirs for theirs, ours in _PLAIN.items()}
    layer = {ours: theirs for theirs, ours in _LAYER.items()}
    theirs, layer_tokens = {}, {}
    for name, tensor in tensors.items():
        if name in plain:
            theirs[plain[name]] = tensor
            continue
        match = re.fullmatch(r'visual_prompt\.layers\.(\d+)\.(\w+)(\..+)?',
                             name)
        if match is None or match[2] not in {'tokens', *layer}:
            raise ValueError(f'{name} has no name in the reference code.')
        if match[2] == 'tokens':
            layer_tokens[int(match[1])] = tensor
        else:
            path = layer[match[2]].format(match[1])
            theirs[f'{_VISION}extractor.{path}{match[3]}'] = tensor
    if layer_tokens:
        theirs[_LAYER_TOKENS] = torch.stack(
            [layer_tokens[i] for i in range(len(layer_tokens))])
    return theirs


def _rename_layer(name: str) -> str:
    for theirs, ours in _LAYER.items():
        pattern = re.escape(f'{_VISION}extractor.{theirs}').replace(
            r'\{\}', r'(\d+)')
        match = re.fullmatch(pattern + r'\.(weight|bias)', name)
        if match:
            return f'visual_prompt.layers.{match[1]}.{ours}.{match[2]}'
    raise ValueError(f'{name} is no learnt tensor of CoOp, VPT or DPT that '
                     'this version knows.')
