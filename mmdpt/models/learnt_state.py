"""State dicts that hold what is learnt, and know what it belongs to."""

import torch
import torch.nn as nn
from mmengine.logging import print_log

KEY = 'mmdpt'


class LearntState:
    """Makes a model's ``state_dict()`` hold only what is learnt now, and checks loading.

    The names are fixed here, at construction: later changes of
    ``requires_grad`` (a moving-average copy has none) do not matter. The
    model's ``identity()`` travels in the state dict's metadata.

    Args:
        model (nn.Module): Has ``identity()``; its frozen parameters have
            ``requires_grad`` off.

    Attributes:
        names (frozenset): Of the tensors that a state dict holds.
        left_out (set): Those that the checkpoint loaded last did not hand over, its classes
            being others.
    """

    def __init__(self, model: nn.Module):
        learnt = {n for n, p in model.named_parameters() if p.requires_grad}
        for path, part in model.named_modules():
            learnt.update(f'{path}.{name}' for name in getattr(part, 'saved_buffers', ()))
        self.names, self.left_out = frozenset(learnt), set[str]()
        model._register_state_dict_hook(self.on_save)
        model.register_load_state_dict_pre_hook(self.before_load)
        model.register_load_state_dict_post_hook(self.after_load)

    def on_save(self, module, state_dict, prefix, local_metadata):
        """Drop what is frozen; add the identity."""
        for name in list(state_dict):
            if name.startswith(prefix) and name[len(prefix) :] not in self.names:
                del state_dict[name]
        local_metadata[KEY] = module.identity()

    def before_load(self, module, state_dict, prefix, local_metadata, *strict_and_messages):
        """Check that a state dict fits; carry it over to other classes where that is wanted."""
        mine, theirs = module.identity(), local_metadata.get(KEY)
        for name in [n for n in state_dict if n.startswith(f'{prefix}lora.')]:
            # what the tuning was called at first
            state_dict[name.replace('lora.', 'tuning.', 1)] = state_dict.pop(name)
        self.left_out.clear()
        theirs = theirs and dict(dict(classes=[], clip={}), **theirs)
        if getattr(module, 'transfer', False) and theirs and theirs['classes'] != mine['classes']:
            old = theirs['classes']
            self.left_out.update(self.transferred(module, old))
            theirs = dict(theirs, classes=mine['classes'])
            for name in self.left_out:
                state_dict.pop(prefix + name, None)
            take_rows(module, old, state_dict, prefix)
        check_identity(mine, theirs)
        found = {n[len(prefix) :]: v for n, v in state_dict.items() if n.startswith(prefix)}
        tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        check_tensors({n: tensors[n] for n in self.names - self.left_out}, found)

    def after_load(self, module, incompatible_keys):
        """The frozen towers come from CLIP's own weights, never from here."""
        missing = incompatible_keys.missing_keys
        missing[:] = [n for n in missing if n in self.names - self.left_out]

    def transferred(self, model: nn.Module, old: list) -> set[str]:
        """Names of what does not pass from old classes to the model's; logs it.

        Each part says what it leaves behind.

        Raises:
            ValueError: If a part has nothing to carry to other classes.
        """
        bound = {
            f'{name}.{tensor}'
            for name, part in model.parts().items()
            for tensor in part.transfer(old)
        }
        print_log(
            f'The checkpoint was trained for {len(old)} classes ({next(iter(old), None)}, ...), '
            f'the model has {len(model.classes)} ({model.classes[0]}, ...). '
            f'Transferred: {", ".join(sorted(self.names - bound))}. Not transferred: '
            f'{", ".join(sorted(bound)) or "nothing"}'
            f'{" (serves the training only)" if bound else ""}.',
            logger='current',
        )
        return bound


def take_rows(model: nn.Module, old: list, state_dict: dict, prefix: str) -> None:
    """Reduce tensors of one row per old class to the model's classes, where a part says so."""
    for part_name, part in model.parts().items():
        for tensor, rows in part.rows(old).items():
            name = f'{prefix}{part_name}.{tensor}'
            found = state_dict.get(name)
            if isinstance(found, torch.Tensor) and found.dim() and len(found) == len(old):
                state_dict[name] = found[rows]


def check_identity(mine: dict, theirs: dict) -> None:
    """Raise ValueError unless a checkpoint fits this model.

    Args:
        mine (dict): ``identity()`` of the model.
        theirs (dict | None): The checkpoint's.
    """
    if theirs is None:
        print_log(
            'The state dict does not say for which classes and CLIP weights '
            'its prompts were learnt; only shapes are checked.',
            logger='current',
            level=30,
        )
        return
    old, new = theirs['classes'], mine['classes']
    if old != new:
        where = next(
            (i for i, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new))
        )
        names = [repr(c[where]) if where < len(c) else 'missing' for c in (old, new)]
        raise ValueError(
            f'The checkpoint was trained for {len(old)} classes and the model '
            f'has {len(new)}; class {where} is {names[0]} in the checkpoint '
            f'and {names[1]} in the model. Use the same classes in the same '
            'order; or, to carry the prompts over to other classes, set '
            'model.transfer=True; or train again.'
        )
    old, new = theirs.get('clip') or {}, mine['clip']
    if old.get('fingerprint') != new['fingerprint']:
        raise ValueError(
            f'The checkpoint was trained on CLIP {_describe(old)}, but the '
            f'model has {_describe(new)}: prompts fit only the weights they '
            'were learnt on. Set model.arch and model.pretrained to those.'
        )


def _describe(clip: dict) -> str:
    arch, pretrained, fingerprint = (clip.get(k) for k in ('arch', 'pretrained', 'fingerprint'))
    return f'{arch} with weights {pretrained} (fingerprint {fingerprint})'


def check_tensors(expected: dict, found: dict) -> None:
    """Raise ValueError unless names and shapes are exactly those learnt, and the numbers some
    that a training leaves."""
    missing = sorted(set(expected) - set(found))
    if missing:
        raise ValueError(
            f'The checkpoint lacks learnt tensors: '
            f'{", ".join(missing)}. Was it trained with another '
            'method or another depth?'
        )
    unexpected = sorted(set(found) - set(expected))
    if unexpected:
        raise ValueError(
            f'The checkpoint holds tensors that this model does '
            f'not learn: {", ".join(unexpected)}. Was it trained '
            'with another method or another depth?'
        )
    for name, tensor in expected.items():
        check_numbers(name, tensor, found[name])
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape:
            raise ValueError(
                f'{name} is {tuple(found[name].shape)} in the checkpoint, but '
                f'{tuple(tensor.shape)} in the model: set the number of '
                'prompts and classes as in training.'
            )


def check_numbers(name: str, expected: torch.Tensor, found: object) -> None:
    """Raise ValueError unless a tensor holds numbers as the model has them, all finite."""
    kind = 'finite floating-point' if expected.is_floating_point() else 'integer'
    if not isinstance(found, torch.Tensor):
        what = f'is a {type(found).__name__}'
    elif found.layout is not torch.strided or found.is_meta:
        what = f'is of layout {found.layout} on the device {found.device}'
    elif found.is_floating_point() != expected.is_floating_point() or found.is_complex():
        what = f'holds numbers of type {found.dtype}'
    elif not torch.isfinite(found).all():
        what = 'has NaN or infinity'
    else:
        return
    raise ValueError(
        f'{name} {what} in the checkpoint, where {kind} numbers belong: choose another checkpoint, '
        'or train again'
    )
