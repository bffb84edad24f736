"""Write model-index.yml and the metafiles, from the configs.

    python tools/make_metafiles.py

They let MMPretrain's ``list_models`` and ``get_model`` find our configs by
name. A metafile lists every leaf config of its folder: its method, its paper,
its dataset. There are no weights to name. ``Metrics`` are those that the
README reports, measured by us; where we measured nothing it is empty.
"""

import ast
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
# Top-1 accuracy on the test half of the digits, mean over seeds 1, 2 and 3
# (zero-shot has none): the table in README.md.
MEASURED = dict(
    zeroshot_tiny_digits=71.2,
    coop_tiny_digits_4shot=85.5,
    coop_tiny_digits_16shot=89.4,
    dpt_tiny_digits_4shot=89.0,
    dpt_tiny_digits_16shot=93.2,
)
NO_MODELS = ('_base_', 'sweeps')  # folders of configs
LINK = re.compile(r'`([^`<]+)\s<(https://[^>]+)>`_')


def docstring(path):
    """The text at the top of a config."""
    return ast.get_docstring(ast.parse(path.read_text(encoding='utf-8')))


def collection(method):
    """The entry of a method, from its file in ``configs/_base_/methods``."""
    if method is None:
        return dict(
            Name='MMPretrain classifiers on few-shot data',
            Metadata=dict(Architecture=['MMPretrain']),
            README='docs/mmpretrain.md',
        )
    text = docstring(ROOT / 'configs' / '_base_' / 'methods' / f'{method}.py')
    name = re.split('[:,.]', text)[0]
    entry = dict(Name=name, Metadata=dict(Architecture=['CLIP', name]))
    link = LINK.search(text)
    if link:
        title = re.sub(r'\s+', ' ', link[1])
        entry['Paper'] = dict(Title=title, URL=link[2])
    return dict(entry, README='docs/methods.md')


def base(path, kind):
    """The nearest file of ``_base_/methods`` or ``_base_/datasets`` behind a config;
    None for a method that has none: MMPretrain's classifiers."""
    if path.parent.name == kind:
        return path.stem
    found = re.search(r'^_base_ = (\[.*?\])', path.read_text(encoding='utf-8'), re.M | re.S)
    parents = ast.literal_eval(found[1]) if found else []
    return next(filter(None, (base(path.parent / name, kind) for name in parents)), None)


def model(path, title):
    """The entry of a leaf config; ``title`` is that of its collection."""
    name, dataset = path.stem, base(path, 'datasets')
    metrics = {'Top 1 Accuracy': MEASURED[name]} if name in MEASURED else {}
    result = dict(Task='Image Classification', Dataset=dataset, Metrics=metrics)
    return {
        'Name': name,
        'Metadata': {'Training Data': [] if name.startswith('zeroshot') else [dataset]},
        'In Collection': title,
        'Results': [result],
        'Config': path.relative_to(ROOT).as_posix(),
    }


def metafile(folder):
    """The content of a folder's metafile."""
    leaves = sorted(folder.glob('*.py'), key=natural)
    methods = [base(leaf, 'methods') for leaf in leaves]
    entries = {name: collection(name) for name in sorted(set(methods), key=str)}
    return dict(
        Collections=list(entries.values()),
        Models=[model(leaf, entries[m]['Name']) for leaf, m in zip(leaves, methods)],
    )


def natural(path):
    """Sort 2 shots before 16."""
    return [int(x) if x.isdigit() else x for x in re.split(r'(\d+)', path.stem)]


def files():
    """dict: What belongs into each file, by its path."""
    folders = [
        f
        for f in sorted((ROOT / 'configs').iterdir())
        if f.is_dir() and f.name not in NO_MODELS and list(f.glob('*.py'))
    ]
    found = {folder / 'metafile.yml': metafile(folder) for folder in folders}
    index = [path.relative_to(ROOT).as_posix() for path in found]
    found[ROOT / 'model-index.yml'] = dict(Import=index)
    return {
        path: '# written by tools/make_metafiles.py\n'
        + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
        for path, content in found.items()
    }


def main():
    for path, text in files().items():
        path.write_text(text, encoding='utf-8')
    print(f'{len(files())} files')


if __name__ == '__main__':
    main()
