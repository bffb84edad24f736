"""Checkpoints of the methods' public code, there and back."""

import os.path as osp
import re

import torch

from ..models.reference_names import from_reference, is_learnt, rules_of, to_reference
from ..utils.tensor_files import load_tensors
from .checkpoint import CheckpointError, _reason


class StandIn:
    """An empty object in the place of one whose content is of no interest.

    A file names its classes: an optimizer, a scheduler, a NumPy scalar. This one takes whatever
    they were made of and keeps nothing, so that none of theirs runs.
    """

    __slots__ = ()

    def __new__(cls, *_, **__):
        """Make one of any arguments."""
        return super().__new__(cls)

    def __setstate__(self, state):
        """Keep nothing."""


def plain_dict(*_) -> dict:
    """Stand in for ``defaultdict``, whose factory is never called."""
    return {}


def stand_ins() -> list:
    """What Dassl.pytorch stores beside tensors, by name: an accuracy, and a scheduler inside
    another's state, with its optimizer and that one's state.

    Returns:
        list[tuple]: As ``torch.serialization.safe_globals`` takes them.
    """
    optim, schedulers = torch.optim, torch.optim.lr_scheduler
    kinds = [
        kind
        for module, base in ((optim, optim.Optimizer), (schedulers, schedulers.LRScheduler))
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, base)
    ]
    names = {f'{kind.__module__}.{kind.__qualname__}' for kind in kinds}
    names |= {f'torch.optim.lr_scheduler.{name}' for name in ('_LRScheduler', 'ChainedScheduler')}
    names |= {f'dassl.optim.radam.{name}' for name in ('RAdam', 'PlainRAdam', 'AdamW')}
    names |= {
        f'dassl.optim.lr_scheduler.{name}WarmupScheduler'
        for name in ('_Base', 'Constant', 'Linear')
    }
    for numpy in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        names |= {f'{numpy}.scalar', f'{numpy}._reconstruct'}
    names |= {'numpy.dtype', 'numpy.ndarray', '_codecs.encode'}
    return [(StandIn, name) for name in sorted(names)] + [
        (plain_dict, 'collections.defaultdict'),
        (plain_dict, 'collections.Counter'),  # the milestones of MultiStepLR
        (dict, 'builtins.dict'),  # the factory of a defaultdict
    ]


# Frozen parts of CLIP that such files may hold as well.
FROZEN = re.compile(
    r'(prompt_learner\.)?(token_(prefix|suffix|middle)\w*|name_lens)$|'
    r'(image_encoder|text_encoder)\.|(prompt_learner\.)?(clip_model|ZS_image_encoder\.)|'
    r'logit_scale$|.*(positional_embedding|token_embedding\.weight|num_batches_tracked)$'
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
        FileNotFoundError: If there is no such file.
        CheckpointError: If the file is damaged, holds objects that could run
            code, no tensors, or tensors that no training leaves.
    """
    if not osp.isfile(path):
        raise FileNotFoundError(f'no file {path}: give one that Dassl.pytorch wrote')
    try:
        content = load_tensors(path, stand_ins())
    except Exception as error:  # a damaged pickle can upset torch in many ways
        raise CheckpointError(
            f'{path} is refused: it is damaged, or holds more than tensors '
            f'and what Dassl.pytorch stores besides them ({_reason(error)}). Save its '
            "'state_dict' alone, in an environment that you trust"
        ) from error
    tensors = content.get('state_dict', content) if isinstance(content, dict) else content
    if (
        not isinstance(tensors, dict)
        or not tensors
        or not all(isinstance(n, str) for n in tensors)
        or not all(isinstance(t, torch.Tensor) for t in tensors.values())
    ):
        raise CheckpointError(
            f"{path} has an unknown layout: expected tensors by name, perhaps under 'state_dict'"
        )
    for name, tensor in tensors.items():
        check_numbers(name, tensor, path)
    if not prefix and 'ctx' in tensors:
        prefix = 'prompt_learner'
    return {f'{prefix}.{n}' if prefix else n: t for n, t in tensors.items()}


def check_numbers(name: str, tensor: torch.Tensor, path: str) -> None:
    """Refuse a tensor that no training leaves.

    Raises:
        CheckpointError: If it is sparse, without memory of its own, or of complex or not finite
            numbers.
    """
    usual = tensor.layout is torch.strided and tensor.device.type == 'cpu'
    if not usual or tensor.is_quantized:
        what = f'of layout {tensor.layout} on the device {tensor.device}'
    elif tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        what = 'larger than its memory'
    elif tensor.is_complex():
        what = 'of complex numbers'
    elif not torch.isfinite(tensor).all():
        what = 'not finite: it has NaN or infinity'
    else:
        return
    raise CheckpointError(f'{path}: the tensor {name[:200]!r} is {what}; choose another file')


def into_model(model, tensors: dict[str, torch.Tensor], method: str = 'DPT') -> None:
    """Load a reference's tensors into a model.

    Args:
        model (PromptedCLIP): Built for the same method, sizes and classes.
        tensors (dict): From :func:`read_reference`, perhaps of several files.
        method (str): Its name in the public code, such as 'MaPLe'; those of
            CoOp's family need none.

    Raises:
        CheckpointError: If a name is unknown, a learnt tensor has integers, the model lacks the
            teacher that it learns from, or a block was tuned that the model does not tune.
        ValueError: If the tensors are not those that the model learns.
    """
    rules = rules_of(method)
    if 'teacher' in model.head.requires and model.sides.teacher is None:
        raise CheckpointError(
            f'the files of {method} lack the text features of the teacher: set model.teacher '
            'to the one of that training'
        )
    known = {n: t for n, t in tensors.items() if is_learnt(n, rules)}
    for name, tensor in known.items():
        if not tensor.is_floating_point():
            raise CheckpointError(
                f'the learnt tensor {name} has numbers of type {tensor.dtype}: expected '
                'floating-point ones, as training leaves them; choose another file'
            )
    for name in sorted(set(tensors) - set(known)):
        if not FROZEN.match(name):
            raise CheckpointError(
                f'the checkpoint has an unknown layout: {name} is neither '
                f'learnt by {method} nor a frozen part of CLIP. Choose the '
                'method (--method), or the prefix of the names'
            )
    state = untuned_left_out(model, from_reference(known, rules))
    # What is saved here and not there, such as labels, stays as the config has it.
    kept = without_their_name(model, rules)
    if 'head.started' in kept:  # of 2SFS: who has a classifier is in the second stage
        kept['head.started'] = torch.ones_like(kept['head.started'])
    model.load_state_dict({**kept, **state})


def untuned_left_out(model, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave out blocks that the model does not tune, which files of whole towers hold, too.

    Raises:
        CheckpointError: If such a block is not CLIP's own.
    """
    towers, found = dict(image=model.backbone, text=model.text_tower), dict(state)
    for name in sorted(n for n in set(state) - model.learnt_names if n.startswith('tuning.')):
        _, tower, path = name.split('.', 2)
        own = dict(towers[tower].named_parameters()).get(path)
        if own is None or own.shape != found[name].shape:
            continue  # loading refuses it
        theirs = found.pop(name)
        coarse = max(torch.finfo(kind).eps for kind in (own.dtype, theirs.dtype))
        if not torch.allclose(own.double(), theirs.double(), rtol=coarse, atol=0):
            raise CheckpointError(
                f"the file's {path} of the {tower} tower is not that of CLIP's weights, and the "
                'model does not tune it: set model.tuning.first and model.pretrained as in that '
                'training'
            )
    return found


def without_their_name(model, rules) -> dict[str, torch.Tensor]:
    """What a checkpoint of ours holds besides what the reference has a name for."""
    buffers = {n for n, _ in model.named_buffers()}
    return {
        n: t
        for n, t in model.state_dict().items()
        if n in buffers and not is_learnt(n, rules, ours=True)
    }


def from_model(model, method: str = 'DPT') -> dict[str, torch.Tensor]:
    """What a model has learnt, by the reference's names.

    Raises:
        ValueError: If something has no name there.
    """
    rules, state = rules_of(method), model.state_dict()
    ours = set(state) - set(without_their_name(model, rules))
    return to_reference({n: state[n].detach().clone() for n in sorted(ours)}, rules)
