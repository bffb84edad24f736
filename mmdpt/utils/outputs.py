"""Files that a command line names to be written: what may take whose place."""

import os
import os.path as osp
import stat
from collections.abc import Iterable
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        endings: Names of such files end like this.
        beginnings: Their content begins like this; none if that says nothing.
    """

    endings: tuple[str, ...]
    beginnings: tuple[bytes, ...] = ()


class Output(NamedTuple):
    """A file to be written.

    Attributes:
        option: As on the command line.
        path: None if the option is not given.
        kind: One of ``KINDS``.
    """

    option: str
    path: str | None
    kind: str


KINDS = dict(
    config=Kind(('.py',), (b'"""',)),
    json=Kind(('.json',), (b'{', b'[')),
    jsonl=Kind(('.jsonl',), (b'{',)),
    predictions=Kind(('.csv', '.txt'), (b'image,class,probability',)),
    suggestions=Kind(('.csv', '.txt'), (b'rank,path,class,',)),
    runs=Kind(('.csv', '.txt'), (b'protocol,method,arch,dataset,',)),
    markdown=Kind(('.md', '.markdown', '.txt'), (b'#', b'Top-1 accuracy')),
    html=Kind(('.html', '.htm'), (b'<!doctype html>',)),
    latex=Kind(('.tex', '.txt'), (b'% needs \\usepackage',)),
    yaml=Kind(('.yaml', '.yml')),
    pickle=Kind(('.pkl', '.pickle'), (b'\x80',)),
    logits=Kind(('.npz',), (b'PK',)),
    checkpoint=Kind(('.pth', '.pt'), (b'PK',)),
    torch=Kind(('.pt2',), (b'PK',)),
    onnx=Kind(('.onnx',), (b'\x08',)),
    png=Kind(('.png',), (b'\x89PNG',)),
    pdf=Kind(('.pdf',), (b'%PDF',)),
    svg=Kind(('.svg',), (b'<?xml', b'<svg')),
)
OVERWRITE: dict[str, Any] = dict(
    action='store_true',
    help='replace output files that are there already, unless they are of another kind',
)


def kind_of(path: str) -> str:
    """The kind that a file's ending names, 'json' if none does."""
    ending = osp.splitext(path)[1].lower()
    return next((name for name, kind in KINDS.items() if ending in kind.endings), 'json')


def check_outputs(
    outputs: Iterable[Output], inputs: Iterable[str | None], overwrite: bool = False
) -> None:
    """Refuse outputs that would cost a file, before anything is computed.

    Args:
        outputs (Iterable[Output]): All that the command is going to write.
        inputs (Iterable[str]): Files that it reads, and folders, whose files count as read;
            what does not exist is left to others.
        overwrite (bool): Whether a file of the same kind may be replaced.

    Raises:
        OSError: If an output cannot be written, or is there already.
        ValueError: If it is an input, another output, or a file of another kind.
    """
    wanted = [output for output in outputs if output.path]
    if not wanted:
        return
    read = [path for path in inputs if path and osp.exists(path)]
    files = {_identity(path) for path in read}
    folders = [osp.realpath(path) for path in read if osp.isdir(path)]
    names: dict = {}
    for output in wanted:
        _check_place(output)
        _check_content(output, files, folders, overwrite)
        for key in _keys(output.path):
            if key in names:
                raise ValueError(f'{names[key]} and {output.option} both name {output.path}')
            names[key] = output.option


def _check_place(output: Output) -> None:
    """Raise OSError if nothing can be written there."""
    path = str(output.path)
    folder = osp.dirname(osp.realpath(path))
    if osp.isdir(path):
        raise IsADirectoryError(f'cannot write {path}: Is a directory')
    if not osp.isdir(folder):
        raise FileNotFoundError(f'cannot write {path}: there is no folder {folder}')
    if not os.access(path if osp.exists(path) else folder, os.W_OK):
        raise PermissionError(f'cannot write {path}: Permission denied')


def _check_content(output: Output, files: set, folders: list[str], overwrite: bool) -> None:
    """Raise if there is a file that must stay."""
    path, option = str(output.path), output.option
    if not osp.exists(path):
        return
    other = 'choose another name'
    if _identity(path) in files:
        raise ValueError(f'{option} {path} is read by this command, and would be lost: {other}')
    if not osp.isfile(path) or not os.path.getsize(path):
        return  # a pipe or a device has nothing to lose, an empty file neither
    if not _is_of_kind(path, KINDS[output.kind]):
        raise ValueError(
            f'{option} {path}: the file that is there is of another kind than what would be '
            f'written, so it stays: {other}'
        )
    for folder in folders:
        if osp.realpath(path).startswith(osp.join(folder, '')):
            raise ValueError(f'{option} {path} lies in {folder}, which this command reads: {other}')
    if not overwrite:
        raise FileExistsError(f'{option} {path} is there already: {other}, or add --overwrite')


def _is_of_kind(path: str, kind: Kind) -> bool:
    if not path.lower().endswith(kind.endings):
        return False
    with open(path, 'rb') as file:
        start = file.read(4096)
    if kind.beginnings and kind.beginnings[0].isascii():
        start = start.removeprefix(b'\xef\xbb\xbf').lstrip()
    return not kind.beginnings or start.startswith(kind.beginnings)


def _identity(path: str) -> tuple[int, int]:
    """The same for all names of a file."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _keys(path) -> list:
    """What two names of one file have in common; a device may be named twice."""
    if osp.exists(path):
        return [] if stat.S_ISCHR(os.stat(path).st_mode) else [_identity(path)]
    # on a disk that does not tell letters' case apart, two new names may be one file
    return [osp.realpath(path).casefold()]
