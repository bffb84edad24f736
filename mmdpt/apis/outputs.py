"""Predictions as they come: a table on the screen, JSON and CSV files."""

import csv
import json
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from ..utils.files import replacing
from ..utils.text import cell, printable, visible

PATH_WIDTH = 60


def best(result: dict, classes: Sequence[str], top_k: int, reject: bool = False) -> dict:
    """The most likely classes of one of :meth:`PromptInferencer.stream`'s results.

    Returns:
        dict: ``image`` and ``classes``, a list of ``name`` and ``probability``;
        or ``image`` and ``error``; ``transductive``, if other images had a say; with ``reject``
        also ``rejected``, whether the answer is "not sure", and ``threshold``.
    """
    if 'error' in result:
        return dict(image=result['img_path'], error=result['error'])
    scores = result['pred_scores']
    first = np.argsort(-scores, kind='stable')[:top_k]
    row = dict(
        image=result['img_path'],
        classes=[dict(name=classes[i], probability=float(scores[i])) for i in first],
    )
    if reject:
        row.update(rejected=result['rejected'], threshold=result['threshold'])
    return row | ({'transductive': True} if result.get('transductive') else {})


class Table:
    """Lines with aligned columns on the screen.

    Args:
        paths (Sequence[str]): All that will be printed, for the column width.
        classes (Sequence[str]): All that may occur.
    """

    def __init__(self, paths: Sequence[str], classes: Sequence[str]):
        self.first = min(max(len(visible(path)) for path in paths), PATH_WIDTH)
        self.name = max(len(visible(name)) for name in classes)

    def write(self, row: dict) -> None:
        """Print one prediction."""
        cells = [
            f'{visible(c["name"]):<{self.name}} {c["probability"]:6.1%}'
            for c in row.get('classes', [])
        ] or ['unreadable']
        if 'rejected' in row:
            cells.insert(0, 'not sure' if row['rejected'] else ' ' * len('not sure'))
        line = '  '.join([f'{visible(row["image"]):<{self.first}}', *cells])
        print(printable(line), flush=True)

    def close(self) -> None:
        """Nothing is left to do."""


class OutputFile:
    """A file that grows line by line, and takes its place when it is closed.

    Args:
        path (str): The file.
    """

    def __init__(self, path: str):
        self.stack = ExitStack()
        place = self.stack.enter_context(replacing(path))
        # what is no UTF-8 in the name of a file is spelt out
        self.file = open(place, 'w', encoding='utf-8', errors='backslashreplace', newline='')
        self.stack.enter_context(self.file)

    def close(self) -> None:
        """Put the file in its place."""
        self.stack.close()


class JsonFile(OutputFile):
    """A list of predictions, or one a line if the name ends in .jsonl.

    Args:
        path (str): The file.
    """

    def __init__(self, path: str):
        super().__init__(path)
        self.lines, self.count = path.lower().endswith('.jsonl'), 0

    def write(self, row: dict) -> None:
        """Add one prediction."""
        before = '' if self.lines else ',\n' if self.count else '[\n'
        self.file.write(before + json.dumps(row, allow_nan=False) + ('\n' if self.lines else ''))
        self.file.flush()
        self.count += 1

    def close(self) -> None:
        """Complete the list, even after an error."""
        if not self.lines:
            self.file.write('\n]\n' if self.count else '[]\n')
        super().close()


class CsvFile(OutputFile):
    """One line a photo: image, class, probability, class_2, ..., perhaps rejected, error.

    Args:
        path (str): The file.
        top_k (int): Classes per photo.
        reject (bool): Whether to say where the answer is "not sure".
    """

    def __init__(self, path: str, top_k: int, reject: bool = False):
        super().__init__(path)
        self.writer, self.top_k = csv.writer(self.file), top_k
        self.marks = ['rejected'] if reject else []
        ends = [''] + [f'_{k}' for k in range(2, top_k + 1)]
        names = [f'{name}{end}' for end in ends for name in ('class', 'probability')]
        self.writer.writerow(['image', *names, *self.marks, 'error'])

    def write(self, row: dict) -> None:
        """Add one prediction."""
        cells = [
            v for c in row.get('classes', []) for v in (cell(c['name']), f'{c["probability"]:.6f}')
        ] or [''] * 2 * self.top_k
        marks = [str(row[name]).lower() if name in row else '' for name in self.marks]
        self.writer.writerow([cell(row['image']), *cells, *marks, cell(row.get('error', ''))])
        self.file.flush()
