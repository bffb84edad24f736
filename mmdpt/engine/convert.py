"""Checkpoints of the methods' public code, there and back."""

import collections
import pickle
import re

import numpy as np
import torch

from ..models.reference_names import from_reference, is_learnt, rules_of, to_reference
from .checkpoint import CheckpointError, _reason

# What Dassl.pytorch stores besides tensors: an accuracy, and its schedulers.
ALLOWED = [
    np.dtype,
    type(np.dtype('float64')),
    type(np.dtype('float32')),
    (np._core.multiarray.scalar, 'numpy.core.multiarray.scalar'),
    np._core.multiarray.scalar,
    collections.defaultdict,
    dict,
    torch.optim.SGD,
    torch.optim.lr_scheduler.CosineAnnealingLR,
]
# Frozen parts of CLIP that such files may hold as well.
FROZEN = re.compile(
    r'(prompt_learner\.)?(token_(prefix|suffix|middle)\w*|name_lens)$|'
    r'(image_encoder|text_encoder)\.|(prompt_learner\.)?clip_model|'
    r'logit_scale$|.*(positional_embedding|token_embedding\.weight)$'
)


def read_reference(path: str, prefix: str = '') -> dict[str, torch.Tensor]:
    """Read the tensors of a file such as ``prompt_learner/model.pth.tar-50``.

    Args:
        path (str): A file of Dassl.pytorch, or a bare state dict.
        prefix (str): What to put before the names, such as
            'prompt_learner'. A file with a bare ``ctx`` is taken for the
            prompt learner's.

    Returns:
        dict: The tensors, by their path in the reference model.

    Raises:
        CheckpointError: If the file is damaged, holds objects that could run
            code, or no tensors.
    """
    try:
        with torch.serialization.safe_globals(ALLOWED):
            content = torch.load(path, map_location='cpu', weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointError(
            f'{path} is refused: it is damaged, or holds more than tensors '
            f'and what Dassl.pytorch stores besides them ({_reason(error)}). Save its '
            "'state_dict' alone, in an environment that you trust"
        ) from error
    tensors = content.get('state_dict', content) if isinstance(content, dict) else content
    if (
        not isinstance(tensors, dict)
        or not tensors
        or not all(isinstance(t, torch.Tensor) for t in tensors.values())
    ):
        raise CheckpointError(
            f"{path} has an unknown layout: expected tensors by name, perhaps under 'state_dict'"
        )
    if not prefix and 'ctx' in tensors:
        prefix = 'prompt_learner'
    return {f'{prefix}.{n}' if prefix else n: t for n, t in tensors.items()}


def into_model(model, tensors: dict[str, torch.Tensor], method: str = 'DPT') -> None:
    """Load a reference's tensors into a model.

    Args:
        model (PromptedCLIP): Built for the same method, sizes and classes.
        tensors (dict): From :func:`read_reference`, perhaps of several files.
        method (str): Its name in the public code, such as 'MaPLe'; those of
            CoOp's family need none.

    Raises:
        CheckpointError: If a name is unknown.
        ValueError: If the tensors are not those that the model learns.
    """
    rules = rules_of(method)
    known = {n: t for n, t in tensors.items() if is_learnt(n, rules)}
    for name in sorted(set(tensors) - set(known)):
        if not FROZEN.match(name):
            raise CheckpointError(
                f'the checkpoint has an unknown layout: {name} is neither '
                f'learnt by {method} nor a frozen part of CLIP. Choose the '
                'method, or the prefix of the names'
            )
    state = from_reference(known, rules)
    # What is saved besides parameters stays as the config has it.
    state.update({n: t for n, t in model.named_buffers() if n in model.learnt_names})
    model.load_state_dict(state)


def from_model(model, method: str = 'DPT') -> dict[str, torch.Tensor]:
    """What a model has learnt, by the reference's names.

    Raises:
        ValueError: If something has no name there.
    """
    learnt = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    return to_reference(learnt, rules_of(method))
