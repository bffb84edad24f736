"""What may become of a file: other bytes, or other things that it says."""

import copy
import random
import string
from collections.abc import Iterator
from typing import Any

import torch

TEXTS = [
    *('', ' ', '\0', 'a\nb', '\x1b[2J', '\ud800', '\u202eabc', 'é', '{}', '{x.__class__}', '%s%n'),
    *('../../../etc/passwd', '/etc/passwd', './evil', 'evil', 'evil.py', 'evil.json', 'file:evil'),
    *('hf-hub:evil/evil', 'http://127.0.0.1:9/evil', 'os.system', 'builtins.open', 'evil:ran'),
    *('=1+1', '-1', '1e999', 'nan', 'true', 'null', 'ViT-B-16', 'RN50', 'mmdpt-tiny', 'CoOp'),
    *('mmpretrain.CoOp', 'DPTHead', 'LoadPILImage', 'Resize', 'a' * 100_000, 'a photo of a {}.'),
    "__import__('os').mkdir('ran')",
]
NUMBERS = [0, 1, -1, 2, 3, 7, 255, 10**5, 10**9, -(10**9), 2**31, 2**63, 10**40, 0.5, -0.0, 1e-40]
NUMBERS += [1e30, 1e308, float('nan'), float('inf'), float('-inf'), True, False]
KEYS = ['type', '_scope_', '_delete_', '_base_', '__class__', 'init_cfg', 'tokenizer', 'pretrained']
KEYS += ['hf_tokenizer_name', 'checkpoint', 'data_root', 'train', 'x', '', '0', 'lora', 'teacher']


def plain_junk(rnd: random.Random) -> Any:
    """A value that JSON can hold."""
    kind = rnd.randrange(8)
    if kind < 2:
        return rnd.choice(TEXTS)
    if kind < 4:
        return rnd.choice(NUMBERS)
    deep: Any = rnd.choice(NUMBERS + TEXTS[:8])
    for _ in range(rnd.choice((1, 2, 30, 90))):
        deep = [deep] if rnd.random() < 0.5 else {rnd.choice(KEYS): deep}
    return [None, [], {}, deep][kind - 4]


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return open, ('ran', 'w')


def tensor_junk(rnd: random.Random, like: torch.Tensor | None = None) -> Any:
    """A value that a pickle of torch can hold."""
    like = torch.ones(4, 128) if like is None or like.numel() > 10**6 or like.is_meta else like
    flat = like.clone().reshape(-1).float() if like.numel() else torch.zeros(1)
    flat[rnd.randrange(len(flat))] = float(rnd.choice([0, 1, -7, 0.5, 1e-40, 1e30, 'nan', 'inf']))
    makes = [
        lambda: flat.reshape(like.shape) if like.numel() else flat,
        lambda: flat,
        lambda: like.to(rnd.choice([torch.float16, torch.bfloat16, torch.float64])),
        lambda: like.to(rnd.choice([torch.int64, torch.bool, torch.complex64, torch.uint8])),
        lambda: like[:0],
        lambda: like.reshape(-1)[:1].expand(like.shape),
        lambda: torch.zeros(1).expand(10 ** rnd.randrange(1, 14)),
        lambda: like.t() if like.dim() == 2 else like[None],
        lambda: like.to_sparse() if like.dim() else like,
        lambda: torch.empty(like.shape, device='meta'),
        lambda: like * rnd.choice([0, -1, 2, 1e9, 1e30]),
        lambda: torch.nn.Parameter(like.float()),
        lambda: torch.quantize_per_tensor(like.float(), 0.1, 0, torch.qint8),
    ]
    try:
        return rnd.choice(makes)()
    except (RuntimeError, NotImplementedError):  # not every type has all of them
        return like


def any_junk(rnd: random.Random, old: Any = None) -> Any:
    """A value that a checkpoint can hold, or that somebody can put into one."""
    kind = rnd.randrange(10)
    if isinstance(old, torch.Tensor) and kind < 6 or kind == 0:
        return tensor_junk(rnd, old if isinstance(old, torch.Tensor) else None)
    if kind == 1:
        return rnd.choice([b'x', {1: 2}, (1, 2), {(1, 2): 3}, Evil(), torch.float32, 1j, {1, 2}])
    if kind == 2:
        shared: Any = (1,)
        for _ in range(40):
            shared = [shared, shared]
        return shared
    return plain_junk(rnd)


def places(value: Any, path: tuple = (), seen: set | None = None) -> Iterator[tuple]:
    """The paths to all that is inside a value; to what stands in several places, one."""
    seen = set() if seen is None else seen
    seen.add(id(value))
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, (dict, list, tuple)) and id(item) not in seen:
            yield from places(item, (*path, key), seen)


def changed(value: Any, rnd: random.Random, junk=lambda rnd, old: plain_junk(rnd)) -> Any:
    """A copy of nested dicts and lists in which one to three things are other ones."""
    value = copy.deepcopy(value)
    for _ in range(rnd.choice((1, 1, 1, 2, 3))):
        found = list(places(value))
        if not found:
            break
        *path, key = rnd.choice(found)
        holder = value
        for step in path:
            holder = holder[step]
        _change(holder, key, rnd, junk)
    return value


def _change(holder: Any, key: Any, rnd: random.Random, junk) -> None:
    """Change one thing in place; a tuple stays."""
    if not isinstance(holder, (dict, list)):
        return
    kind, old = rnd.randrange(8), holder[key]
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[rnd.choice(KEYS)] = junk(rnd, old)
    elif kind == 2 and isinstance(holder, dict):
        holder[rnd.choice([*KEYS, *map(str, holder)])] = holder.pop(key)
    elif kind == 2 or kind == 1:
        holder.insert(rnd.randrange(len(holder) + 1), rnd.choice([old, junk(rnd, old)]))
    elif kind == 3:
        other = rnd.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        holder[key], holder[other] = holder[other], old
    elif kind == 4 and type(old) in (int, float):
        holder[key] = rnd.choice([old + 1, old - 1, old * 2, -old, float(old), str(old), [old]])
    elif kind == 4 and isinstance(old, str) and old:
        place = rnd.randrange(len(old))
        letter = rnd.choice(string.printable + '\0é\u202e')
        holder[key] = old[:place] + letter + old[place + 1 :]
    else:
        holder[key] = junk(rnd, old)


def other_bytes(data: bytes, rnd: random.Random) -> bytes:
    """Bytes of which one to three places are others, more, or fewer."""
    out = bytearray(data)
    for _ in range(rnd.choice((1, 1, 1, 2, 3))):
        size = len(out)
        place = rnd.randrange(size + 1)
        # beginnings and ends hold what files say about themselves
        if rnd.random() < 0.5:
            place = rnd.choice([place % 512, size - 1 - place % 512])
        place = max(0, min(place, size - 1))
        length = rnd.choice((1, 2, 4, 8, 100))
        kind = rnd.randrange(8)
        if kind < 3 and size:
            out[place] ^= 1 << rnd.randrange(8)
        elif kind == 3:
            out[place : place + length] = bytes([rnd.choice((0, 255, 10, 34))]) * length
        elif kind == 4:
            del out[place:]
        elif kind == 5:
            del out[place : place + length]
        elif kind == 6:
            out[place:place] = out[max(0, place - length) : place]
        else:
            out[place:place] = rnd.choice([b'\0', b'\xff\xfe', b'\n', b'"', b',', b'../', b'}'])
    return bytes(out)
