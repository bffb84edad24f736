"""Tensors of a TorchScript archive, as OpenAI published its weights, without loading its code.

``torch.jit.load`` compiles the code of an archive and runs what it has to do on loading. Here its
pickle is read with empty objects in the place of its modules, and nothing else is in reach of it.
"""

import io
import pickle
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import torch

from mmdpt.utils.bounds import check_parts, check_steps
from mmdpt.utils.files import open_regular
from mmdpt.utils.tensor_files import LARGEST_FILE

MOST_CODE = 2**24  # bytes of text
LISTS = 'build_[a-z]+list|restore_type_tag'
STORAGES = dict(
    Double=torch.float64,
    Float=torch.float32,
    Half=torch.float16,
    BFloat16=torch.bfloat16,
    Long=torch.int64,
    Int=torch.int32,
    Short=torch.int16,
    Char=torch.int8,
    Byte=torch.uint8,
    Bool=torch.bool,
)


class Module:
    """What stands for a module of the archive.

    Attributes:
        kind (str): Name of its class.
        parts (dict): Its attributes.
    """

    kind = ''
    parts: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.parts = state if isinstance(state, dict) else {}


class Restricted(pickle.Unpickler):
    """Makes modules, lists and tensors of the archive; refuses all else.

    Raises:
        pickle.UnpicklingError: If the pickle names anything else.
    """

    def __init__(self, archive: zipfile.ZipFile, root: str):
        super().__init__(io.BytesIO(archive.read(f'{root}/data.pkl')))
        self.archive, self.root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        """Look among the few things that there are."""
        if module.split('.')[0] == '__torch__':
            return type('Module', (Module,), dict(kind=f'{module}.{name}'))
        if module == 'torch' and name.removesuffix('Storage') in STORAGES:
            return STORAGES[name.removesuffix('Storage')]
        if (module, name) == ('torch._utils', '_rebuild_tensor_v2'):
            return rebuilt
        if (module, name) == ('collections', 'OrderedDict'):  # of hooks, which are empty
            return dict
        if module == 'torch.jit._pickle' and re.fullmatch(LISTS, name):
            return first
        raise pickle.UnpicklingError(f'it names {module[:50]}.{name[:50]}, which is no tensor')

    def persistent_load(self, place: Any) -> torch.Tensor:
        """Return the numbers of a part of the archive."""
        _, dtype, key, _, count = place
        data = self.archive.read(f'{self.root}/data/{key}')
        if len(data) != count * dtype.itemsize:
            raise pickle.UnpicklingError(f'its part data/{key[:50]} has another size than it says')
        return (
            torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
        )


def rebuilt(
    storage: torch.Tensor, offset: int, size: tuple, stride: tuple, *_: Any
) -> torch.Tensor:
    """Return a tensor of some numbers; torch checks that they are enough."""
    return storage.as_strided(size, stride, offset)


def first(value: Any, *_: Any) -> Any:
    """Return a list as it is, without its type."""
    return value


def read_torchscript(path: str) -> dict[str, torch.Tensor]:
    """Return what ``torch.jit.load(path).state_dict()`` would, and run nothing.

    Raises:
        OSError: If it cannot be read.
        Exception: Many kinds; if it is damaged, or holds more than modules and tensors.
    """
    with open_regular(path, LARGEST_FILE) as file, zipfile.ZipFile(file) as archive:
        (root,) = {name.split('/')[0] for name in archive.namelist()}
        check_parts(archive, path, packed=f'{root}/code/')
        check_steps(archive.read(f'{root}/data.pkl'))
        module = Restricted(archive, root).load()
        if not isinstance(module, Module):
            raise ValueError(f'it holds a {type(module).__name__}, no module')
        return dict(_tensors(module, _saved(archive, root), set()))


def _saved(archive: zipfile.ZipFile, root: str) -> dict[str, set[str]]:
    """The names of parameters and buffers by class, from the text of the code."""
    found: dict[str, set[str]] = {}
    start = f'{root}/code/'
    parts = [part for part in archive.infolist() if part.filename.startswith(start)]
    if sum(part.file_size for part in parts) > MOST_CODE:
        raise ValueError(f'its code has more than {MOST_CODE >> 20} MiB')
    for part in (part for part in parts if part.filename.endswith('.py')):
        module = part.filename.removeprefix(start).removesuffix('.py').replace('/', '.')
        text = archive.read(part).decode()
        for chunk in re.split(r'^class ', text, flags=re.MULTILINE)[1:]:
            name = chunk.partition('(')[0]
            lists = re.findall(r'^  __(?:parameters|buffers)__ = \[(.*)\]', chunk, re.MULTILINE)
            found[f'{module}.{name}'] = {n for text in lists for n in re.findall('"(.*?)"', text)}
    return found


def _tensors(
    module: Module, saved: dict[str, set[str]], seen: set[int], prefix: str = ''
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what a module's state dict has: no other attributes that are tensors."""
    if id(module) in seen:
        raise ValueError(f'its module {prefix[:80]} stands in two places')
    seen.add(id(module))
    for name, part in module.parts.items():
        if isinstance(part, Module):
            yield from _tensors(part, saved, seen, f'{prefix}{name}.')
        elif isinstance(part, torch.Tensor) and name in saved.get(module.kind, ()):
            yield f'{prefix}{name}', part
