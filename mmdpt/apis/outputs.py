"""Predictions as they come: a table on the screen, JSON and CSV files."""

import csv
import json
import os
import os.path as osp
from collections.abc import Sequence

import numpy as np

PATH_WIDTH = 60


def best(result: dict, classes: Sequence[str], top_k: int) -> dict:
    """The most likely classes of one of :meth:`PromptInferencer.stream`'s results.

    Returns:
        dict: ``image`` and ``classes``, a list of ``name`` and ``probability``;
        or ``image`` and ``error``.
    """
    if 'error' in result:
        return dict(image=result['img_path'], error=result['error'])
    scores = result['pred_scores']
    first = np.argsort(-scores, kind='stable')[:top_k]
    return dict(
        image=result['img_path'],
        classes=[dict(name=classes[i], probability=float(scores[i])) for i in first],
    )


def check_writable(path: str) -> None:
    """Refuse what cannot be written, before anything is computed; what is
    there stays.

    Raises:
        OSError: Says why.
    """
    folder, there = osp.dirname(osp.abspath(path)), osp.exists(path)
    if not osp.isdir(folder):
        raise FileNotFoundError(f'cannot write {path}: there is no folder {folder}')
    try:
        open(path, 'a').close()
    except OSError as error:
        raise type(error)(f'cannot write {path}: {error.strerror}') from error
    if not there:
        os.remove(path)


class Table:
    """Lines with aligned columns on the screen.

    Args:
        paths (Sequence[str]): All that will be printed, for the column width.
        classes (Sequence[str]): All that may occur.
    """

    def __init__(self, paths: Sequence[str], classes: Sequence[str]):
        self.first = min(max(map(len, paths)), PATH_WIDTH)
        self.name = max(map(len, classes))

    def write(self, row: dict) -> None:
        """Print one prediction."""
        cells = [
            f'{c["name"]:<{self.name}} {c["probability"]:6.1%}' for c in row.get('classes', [])
        ]
        print(f'{row["image"]:<{self.first}}', *(cells or ['unreadable']), sep='  ', flush=True)

    def close(self) -> None:
        """Nothing is left to do."""


class JsonFile:
    """A list of predictions, or one per line if the name ends in .jsonl.

    Args:
        path (str): The file.
    """

    def __init__(self, path: str):
        self.lines = path.lower().endswith('.jsonl')
        self.file, self.count = open(path, 'w', encoding='utf-8'), 0

    def write(self, row: dict) -> None:
        """Add one prediction."""
        before = '' if self.lines else ',\n' if self.count else '[\n'
        self.file.write(before + json.dumps(row) + ('\n' if self.lines else ''))
        self.file.flush()
        self.count += 1

    def close(self) -> None:
        """Complete the list, even after an error."""
        if not self.lines:
            self.file.write('\n]\n' if self.count else '[]\n')
        self.file.close()


class CsvFile:
    """One line per photo: image, class, probability, class_2, ..., error.

    Args:
        path (str): The file.
        top_k (int): Classes per photo.
    """

    def __init__(self, path: str, top_k: int):
        self.file = open(path, 'w', encoding='utf-8', newline='')
        self.writer, self.top_k = csv.writer(self.file), top_k
        ends = [''] + [f'_{k}' for k in range(2, top_k + 1)]
        names = [f'{name}{end}' for end in ends for name in ('class', 'probability')]
        self.writer.writerow(['image', *names, 'error'])

    def write(self, row: dict) -> None:
        """Add one prediction."""
        cells = [
            v for c in row.get('classes', []) for v in (c['name'], f'{c["probability"]:.6f}')
        ] or [''] * 2 * self.top_k
        self.writer.writerow([row['image'], *cells, row.get('error', '')])
        self.file.flush()

    def close(self) -> None:
        """Close the file."""
        self.file.close()
