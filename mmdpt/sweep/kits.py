"""The experiments of papers, as sweeps: ``mmdpt reproduce NAME``."""

import os.path as osp
from collections.abc import Sequence
from typing import Any, NamedTuple

from .compose import DATASETS
from .plan import plan_grid, refuse
from .published.settings import num_classes

SHOTS, SEEDS = (1, 2, 4, 8, 16), (1, 2, 3)


class Kit(NamedTuple):
    """An experiment.

    Attributes:
        method: A file of ``configs/_base_/methods``.
        title: What it is, with the paper's arXiv number.
        subset: 'base': trained on the base half with 16 shots, tested on both halves; 'all':
            few-shot learning.
        datasets: Files of ``configs/_base_/datasets``.
        note: Where the authors' settings of this experiment were found, or that they were not.
    """

    method: str
    title: str
    subset: str
    datasets: tuple[str, ...]
    note: str = ''

    @property
    def shots(self) -> tuple[int, ...]:
        """Training images per class."""
        return SHOTS if self.subset == 'all' else (16,)


ELEVEN = tuple(DATASETS)
KITS = dict(
    dpt=Kit('dpt', 'DPT, few-shot learning (2208.08340)', 'all', ELEVEN),
    coop=Kit(
        'coop',
        'CoOp, base-to-new (2109.01134, as 2203.05557 tests it)',
        'base',
        ELEVEN,
        'The authors published no command of this experiment: 16 vectors and 200 epochs, as in '
        "CoOp's few-shot learning with 16 shots.",
    ),
    maple=Kit('maple', 'MaPLe, base-to-new (2210.03117)', 'base', ELEVEN),
    promptsrc=Kit(
        'promptsrc',
        'PromptSRC, base-to-new (2307.06948)',
        'base',
        ELEVEN,
        '20 epochs, mean 15 and deviation 1: their vit_b16_c2_ep20_batch4_4+4ctx.yaml.',
    ),
    mmrl=Kit(
        'mmrl',
        'MMRL, base-to-new (2503.08497)',
        'base',
        ELEVEN,
        'Batch 4 and 10 epochs (ImageNet 32 and 5): their vit_b16.yaml, vit_b16_imagenet.yaml.',
    ),
    tcp=Kit('tcp', 'TCP, base-to-new (2311.18231)', 'base', ELEVEN),
    twosfs=Kit(
        'twosfs',
        '2SFS, base-to-new (2503.11609)',
        'base',
        ELEVEN,
        '300 steps times the shots, counted on the base half.',
    ),
    digits=Kit('dpt', 'DPT on the built-in example, few-shot learning', 'all', ('digits',)),
)


def options_of(kit: Kit, dataset: str) -> dict[str, Any]:
    """What the experiment sets besides method, tower, dataset and shots."""
    found: dict[str, Any] = {'default_hooks.report.baselines': []}
    if kit.subset == 'all':
        return found
    found['dataset.subset'] = kit.subset
    if dataset == 'digits':  # the example's own settings
        return found
    if kit.method == 'promptsrc':
        found['train_cfg.max_epochs'] = 20
        found.update(
            {'default_hooks.aggregation.mean': 15, 'default_hooks.aggregation.deviation': 1}
        )
    elif kit.method == 'mmrl':
        found['model.head.fusion'] = 'trained'  # new classes: the class token alone
        if dataset != 'imagenet':
            found.update({'train_cfg.max_epochs': 10, 'train_dataloader.batch_size': 4})
    elif kit.method == 'twosfs':
        steps = -(-16 * base_classes(dataset) // 32)
        found['train_cfg.max_epochs'] = round(300 * 16 / steps)
    return found


def base_classes(dataset: str) -> int:
    """Number of base classes of a benchmark."""
    return (num_classes(dataset) + 1) // 2


def plan_kit(
    kit: Kit,
    work_dir: str,
    datasets: Sequence[str] = (),
    shots: Sequence[int] = (),
    seeds: Sequence[int] = (),
    options: dict | None = None,
) -> list:
    """The runs of an experiment, or of a part of it.

    Args:
        kit (Kit): The experiment.
        work_dir (str): Composed configs go there.
        datasets, shots, seeds (Sequence): The part; empty: as published.
        options (dict, optional): ``--cfg-options``, for all; they win.

    Returns:
        list[Run]: By dataset, shots, seed.

    Raises:
        ValueError: Names what is impossible.
    """
    few = [n for n in shots if n not in kit.shots]
    if few:
        raise ValueError(f'{kit.title} has {", ".join(map(str, kit.shots))} shots, not {few[0]}')
    known = {*kit.datasets, 'digits'}
    refuse(
        f'{kit.title} has no dataset {name!r}: choose among {", ".join(sorted(known))}'
        for name in datasets
        if name not in known
    )
    runs = []
    for dataset in datasets or kit.datasets:
        arch = 'tiny' if dataset == 'digits' else 'vitb16'
        more = {**options_of(kit, dataset), **(options or {})}
        folder = osp.join(work_dir, '.sweep', 'composed')
        chosen = (shots or kit.shots, seeds or SEEDS, more, folder)
        runs += plan_grid([kit.method], [arch], [dataset], *chosen)
    return runs
