"""Which runs: a grid of names, or a sweep file."""

import fnmatch
import os.path as osp
from itertools import product

from mmengine.config import Config

from ..paths import find_config
from ..utils.files import write_atomically
from .compose import CONFIGS, check_names, find_leaf, leaf, stem
from .published import EVALUATION_ONLY, OWN, WITHOUT_SHOTS
from .published.settings import CITED_SHOTS
from .runs import resolve

KEYS = {'name', 'config', 'options', 'seed', 'test'}


def plan_grid(methods, archs, datasets, shots, seeds, options=None, folder='.'):
    """Runs of all combinations.

    A combination is its config file, where there is one; otherwise it is
    composed, as tools/make_configs.py composes those files. Methods that learn
    nothing take one run per dataset and architecture.

    Args:
        methods, archs, datasets (Sequence[str]): As in names of config files.
        shots (Sequence[int], optional): For methods that learn. None: 1, 2, 4, 8 and 16; of your
            own photos all.
        seeds (Sequence[int]): For methods that learn.
        options (dict, optional): ``--cfg-options``, for all.
        folder (str): For the composed files.

    Returns:
        list[Run]: In the order of datasets, architectures, shots, seeds,
        methods.

    Raises:
        ValueError: Names all combinations that are impossible.
    """
    wanted = []
    for dataset, arch in product(datasets, archs):
        counts = shots or ((None,) if dataset == OWN else CITED_SHOTS)  # all own photos
        for n, seed, method in product(counts, seeds, methods):
            drawn = None if method in WITHOUT_SHOTS else n
            trained = None if method in EVALUATION_ONLY else seed
            wanted.append((method, arch, dataset, drawn, trained))
    cache, runs, errors = {}, [], []
    for method, arch, dataset, n, seed in dict.fromkeys(wanted):
        name = stem(method, arch, dataset, n)
        try:
            config = find_leaf(method, arch, dataset, n) or compose(
                method, arch, dataset, n, folder
            )
            full = name if seed is None else f'{name}_seed{seed}'
            runs.append(resolve(full, config, options, seed, method in EVALUATION_ONLY, cache))
        except (ValueError, OSError) as error:
            errors.append(str(error))
    refuse(errors)
    return runs


def compose(method, arch, dataset, shots, folder):
    """str: A config file for a combination that has none, written to ``folder``."""
    check_names(method, arch, dataset)
    path = osp.join(folder, f'{stem(method, arch, dataset, shots)}.py')
    text = leaf(method, arch, dataset, shots, osp.relpath(CONFIGS, folder), 'Composed of its name')
    write_atomically(text.encode(), path)
    return path


def plan_file(path, options=None):
    """Runs of a sweep file: a Python config with a list ``runs``.

    Each is ``dict(name=..., config=..., options={...}, seed=N)``; ``config``
    is relative to the project, ``options`` are those of ``--cfg-options``,
    ``test=True`` stands for methods that learn nothing.

    Args:
        path (str): The file.
        options (dict, optional): ``--cfg-options``, for all; they win.

    Returns:
        list[Run]: As listed.

    Raises:
        ValueError: Names everything that is wrong.
    """
    path = find_config(path)
    entries = Config.fromfile(path).get('runs')
    if not isinstance(entries, list) or not entries:
        raise ValueError(
            f"{path} has no list 'runs' of dict(name=..., config=..., options=..., seed=...)"
        )
    cache, runs, errors, names = {}, [], [], set()
    for i, entry in enumerate(entries):
        try:
            _check_entry(i, entry, names)
            runs.append(
                resolve(
                    entry['name'],
                    entry['config'],
                    {**entry.get('options', {}), **(options or {})},
                    entry.get('seed'),
                    entry.get('test', False),
                    cache,
                )
            )
        except (ValueError, OSError) as error:
            errors.append(str(error))
    refuse(errors)
    return runs


def _check_entry(i, entry, names):
    missing, unknown = {'name', 'config'} - set(entry), set(entry) - KEYS
    if missing or unknown:
        what = (
            f'lacks {", ".join(sorted(missing))}'
            if missing
            else f'has the unknown key {", ".join(sorted(unknown))}'
        )
        raise ValueError(f'runs[{i}] {what}: give {", ".join(sorted(KEYS))}')
    if entry['name'] in names:
        raise ValueError(
            f'runs[{i}]: the name {entry["name"]} appears twice, and names are folders'
        )
    names.add(entry['name'])


def select(runs, patterns):
    """list[Run]: Those whose name fits one of the patterns.

    Raises:
        ValueError: If a pattern fits none.
    """
    refuse(
        f'--only {p} fits none of the {len(runs)} runs, such as {runs[0].name}'
        for p in patterns
        if not fnmatch.filter((r.name for r in runs), p)
    )
    return [r for r in runs if any(fnmatch.fnmatch(r.name, p) for p in patterns)]


def refuse(errors):
    """Raise one ValueError for all of them, each once."""
    errors = list(dict.fromkeys(errors))
    if len(errors) == 1:
        raise ValueError(errors[0])
    if errors:
        raise ValueError(
            f'{len(errors)} runs are impossible, so none is started:\n  ' + '\n  '.join(errors)
        )
