"""One figure of one run: a row of the long table."""

import re
from dataclasses import dataclass, fields
from pathlib import Path

METRIC = 'accuracy/top1'
TRANSDUCTIVE = 'transductive'  # a protocol, and
NOTE = 'sees the test images without labels'
COSTS = ('epochs', 'train_seconds', 'train_cpu_seconds', 'peak_memory_mib')  # of a training
REFERENCES = ('zero_shot', 'raw_pixels', 'linear_probe')  # what runs report beside their own


@dataclass
class Row:
    """One figure and where it comes from.

    Attributes:
        protocol: 'few-shot', 'base-to-new', 'cross-dataset',
            'domain-generalisation' or 'transductive'.
        method, arch, dataset, subset: What was trained on what; ``arch`` is
            CLIP's, ``subset`` 'all' or 'base' classes.
        shots: Training images per class; 0 for zero-shot, None for whole lists.
        seed: None for zero-shot.
        data: The conditions, where they are not the benchmark's: 'unlabelled images', or those
            of ``dataset.protocol``.
        chosen_on_test: Whether a choice of the training looked at test images.
        target: What was tested: '' (few-shot: the same classes), 'base',
            'new' or another dataset.
        status: 'ok', 'unfinished' (training started, no results), 'damaged'
            (results cannot be read) or 'missing' (expected, nothing there).
        accuracy: Top-1 in per cent; None unless ``status`` is 'ok'.
        draw_hash, clip_fingerprint, mmdpt, torch, mmengine, mmpretrain,
        commit, dirty: Images, weights and code.
        source: The file, or the folder of a run without one.
        note: What is wrong with it.
    """

    protocol: str = 'few-shot'
    method: str = '?'
    arch: str = ''
    dataset: str = '?'
    subset: str = 'all'
    shots: int | None = None
    seed: int | None = None
    target: str = ''
    data: str = ''
    chosen_on_test: bool | None = None
    status: str = 'ok'
    accuracy: float | None = None
    draw_hash: str = ''
    clip_fingerprint: str = ''
    epochs: int | None = None
    train_seconds: float | None = None
    train_cpu_seconds: float | None = None
    peak_memory_mib: float | None = None
    mmdpt: str = ''
    torch: str = ''
    mmengine: str = ''
    mmpretrain: str = ''
    commit: str = ''
    dirty: bool | None = None
    finished: str = ''
    source: str = ''
    note: str = ''

    @property
    def key(self):
        """tuple: What makes two runs the same experiment."""
        return (
            self.protocol,
            self.target,
            self.method,
            self.arch,
            self.dataset,
            self.subset,
            self.shots,
            self.seed,
            self.data,
        )

    @property
    def placed(self):
        """bool: Whether it has a place in a table; failed runs may not even say
        what they were."""
        return self.status == 'ok' or '?' not in (self.method, self.dataset)

    @property
    def code(self):
        """tuple[str]: What must be equal to be averaged, besides the draw."""
        return (
            self.mmdpt,
            self.torch,
            self.mmengine,
            self.mmpretrain,
            self.commit + ('+changes' if self.dirty else ''),
            self.clip_fingerprint,
        )


COLUMNS = [field.name for field in fields(Row)]


def reference(method):
    """int: The place of a reference among ``REFERENCES``; their number for other methods."""
    kind = 'zero_shot' if method.startswith('zero_shot') else method
    return REFERENCES.index(kind) if kind in REFERENCES else len(REFERENCES)


def zero_shot_name(templates, described=False):
    """str: What zero-shot CLIP is called.

    Args:
        templates (str | list[str] | None): The config's; None for the
            benchmark's own. Other templates give other figures.
        described (bool): Whether sentences of each class take their place.
    """
    if described:
        return 'zero_shot_descriptions'
    if templates is None:
        return 'zero_shot'
    count = 1 if isinstance(templates, str) else len(templates)
    return f'zero_shot_{count}_template{"" if count == 1 else "s"}'


def parse_name(config):
    """Read a config's name, ``<method>_<arch>_<dataset>[_<shots>shot]``; a
    sweep's ends in ``_seed<seed>``.

    Args:
        config (str): A path or a name.

    Returns:
        tuple[str, str, str]: Method, arch, dataset; of any other name, the
        name itself and two empty strings.
    """
    name = Path(config or '?').stem
    found = re.fullmatch(r'(.+?)_(tiny|(?:vit|rn)[^_]*)_([^_]+)(?:_\d+shot)?(?:_seed\d+)?', name)
    return found.groups() if found else (name, '', '')
