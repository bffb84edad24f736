"""How much a file may hold, and of what kind; found out before anything walks through it.

A few bytes can stand for more than a lifetime of work: lists that share their items, tensors that
repeat one number, archives that unpack to a thousand times their size.
"""

import os
import pickletools
import zipfile
from typing import Any, BinaryIO

import torch

MOST_VALUES = 500_000
MOST_STEPS = 500_000  # of a pickle
MOST_TEXT = 10_000_000  # characters of one text
DEEPEST = 40
MOST_PARTS = 100_000  # files in an archive
ROOM = 4  # a tensor may stand in several places, as those of moving averages do
LARGEST = 1e6  # of what is learnt
DTYPES = {
    getattr(torch, name)
    for name in 'float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool'.split()
}


def check_parts(archive: zipfile.ZipFile, path: str, packed: str = '') -> None:
    """Raise ValueError if an archive would unpack to more than its size, or is ambiguous.

    Args:
        archive (zipfile.ZipFile): Of torch.
        path (str): Its file.
        packed (str): What the names of parts begin with that may be compressed; '': none may.
    """
    parts = archive.infolist()
    names = {part.filename.lower() for part in parts}
    if len(parts) > MOST_PARTS or len(names) < len(parts):
        raise ValueError('it has too many parts, or several of one name')
    stored = [part for part in parts if not packed or not part.filename.startswith(packed)]
    wrong = [part.filename for part in stored if part.compress_type != zipfile.ZIP_STORED]
    if wrong:
        raise ValueError(f'its part {wrong[0][:80]} is compressed, which torch.save never does')
    if sum(part.file_size for part in stored) > os.path.getsize(path):
        raise ValueError('its parts are larger than the file')


def check_pickle(path: str) -> None:
    """Raise ValueError if the objects in an archive are too many; see :func:`check_steps`."""
    check_steps(torch._C.PyTorchFileReader(str(path)).get_record('data.pkl'))


def check_steps(pickled: bytes | BinaryIO) -> None:
    """Raise ValueError if a pickle makes too many objects, counted as often as they occur.

    Even torch's safe loader takes the hash of a nested tuple that is a key, for years if its
    items are shared.

    Args:
        pickled (bytes | BinaryIO): The pickle; of a file, up to its end.
    """
    stack: list[int] = []  # sizes
    marks: list[int] = []
    memo: dict[Any, int] = {}
    for step, (operation, argument, _) in enumerate(pickletools.genops(pickled)):
        name = operation.name
        if step > MOST_STEPS:
            raise ValueError(f'its pickle has more than {MOST_STEPS} steps')
        if name in ('PUT', 'BINPUT', 'LONG_BINPUT'):
            memo[argument] = stack[-1]
        elif name == 'MEMOIZE':
            memo[len(memo)] = stack[-1]
        elif name in ('GET', 'BINGET', 'LONG_BINGET'):
            stack.append(memo[argument])
        elif name == 'MARK':
            marks.append(len(stack))
        elif name not in ('PROTO', 'FRAME', 'STOP'):
            _apply(operation, stack, marks)


def _apply(operation, stack: list[int], marks: list[int]) -> None:
    taken = operation.stack_before
    if pickletools.markobject in taken:
        start = marks.pop() - taken.index(pickletools.markobject)
    else:
        start = len(stack) - len(taken)
    if start < 0:
        raise ValueError('its pickle takes what it has not put')
    size = 1 + sum(stack[start:])
    del stack[start:]
    if size > MOST_VALUES:
        raise ValueError(f'it holds more than {MOST_VALUES} values, counted as often as they occur')
    stack.extend([size] * len(operation.stack_after))


def check_values(value: Any, room: int) -> None:
    """Raise ValueError unless all is tensors and plain Python, of a sane amount.

    Args:
        value (Any): What was loaded.
        room (int): Bytes that its tensors may have.
    """
    count, waiting = 0, [(value, '', 0)]
    while waiting:
        value, place, depth = waiting.pop()
        count += 1
        if count > MOST_VALUES or depth > DEEPEST:
            raise ValueError(
                f'it holds more than {MOST_VALUES} values, or nests them more than {DEEPEST} deep'
            )
        if isinstance(value, torch.Tensor):
            room -= check_tensor(value, place)
            if room < 0:
                raise ValueError(f'its tensors are larger than the file, {place} among them')
        elif isinstance(value, dict):
            more = dict(getattr(value, '__dict__', {}))
            if set(more) - {'_metadata'}:  # one could hide a method
                raise ValueError(f'{place or "it"} has attributes')
            for key, item in value.items():
                check_plain(key, f'a name in {place or "it"}')
                waiting.append((item, f'{place}.{str(key)[:80]}'.lstrip('.'), depth + 1))
            waiting += [(item, f'{place}._metadata', depth + 1) for item in more.values()]
        elif isinstance(value, (list, tuple)):
            waiting += [(item, place, depth + 1) for item in value]
        else:
            check_plain(value, place)


def check_no_tensors(value: Any, place: str) -> None:
    """Raise ValueError if there is a tensor in what :func:`check_values` has passed."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, torch.Tensor):
            raise ValueError(f'{place} holds a tensor')
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, (list, tuple)):
            waiting += value


def check_plain(value: Any, place: str) -> None:
    """Raise ValueError unless a value is a number, text or nothing."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f'{place} is no text that can be written (UTF-8)') from None
        if len(value) > MOST_TEXT:
            raise ValueError(f'{place} is a text of {len(value)} characters')
    elif isinstance(value, int):
        if abs(value) >= 2**63:
            raise ValueError(f'{place} is a number of more than 64 bits')
    elif not isinstance(value, (float, bytes, type(None))):
        raise ValueError(f'{place} is a {type(value).__name__}, neither a tensor nor plain Python')


def check_tensor(tensor: torch.Tensor, place: str) -> int:
    """Return the bytes of a tensor.

    Raises:
        ValueError: If it is not one of finite real numbers that the file holds.
    """
    usual = tensor.layout is torch.strided and not tensor.is_meta and tensor.dtype in DTYPES
    if not usual:
        kind = (
            'meta' if tensor.is_meta else f'{tensor.layout}, {tensor.dtype}'.replace('torch.', '')
        )
        raise ValueError(f'{place} is no usual tensor ({kind})')
    size = tensor.numel() * tensor.element_size()
    if size > tensor.untyped_storage().nbytes():
        raise ValueError(f'{place} is larger than what the file holds of it')
    if tensor.is_floating_point() and not all(x.isfinite() for x in _extremes(tensor)):
        raise ValueError(f'{place} holds NaN or infinite values')
    return size


def check_learnt(tensors: Any, name: str) -> None:
    """Raise ValueError unless a state dict has tensors of a sane size by name."""
    if not isinstance(tensors, dict):
        raise ValueError(f'{name} is a {type(tensors).__name__}, no dict')
    for key, tensor in tensors.items():
        place = f'{name}.{str(key)[:80]}'
        if not isinstance(key, str) or not isinstance(tensor, torch.Tensor):
            raise ValueError(f'{place} is a {type(tensor).__name__}, no tensor')
        if tensor.is_floating_point() and any(x.abs() > LARGEST for x in _extremes(tensor)):
            raise ValueError(f'{place} holds values beyond {LARGEST:g}')


def _extremes(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return tuple(tensor.detach().aminmax()) if tensor.numel() else ()
