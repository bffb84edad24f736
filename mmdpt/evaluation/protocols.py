"""The benchmark's protocols beyond few-shot: which images, which figures."""

import os.path as osp
import re
from collections.abc import Sequence
from statistics import fmean, harmonic_mean

from mmdpt.datasets import BENCHMARKS, get_benchmark, resolve_classes

FEW_SHOT = [b.name for b in BENCHMARKS.values() if b.folder and not b.evaluation_only]
VARIANTS = [b.name for b in BENCHMARKS.values() if b.evaluation_only]
PROTOCOLS = (
    'base-to-new',
    'cross-dataset',
    'domain-generalisation',
    'open-world',
    'ood',
    'corruption',
)
HALVES = ('base-to-new', 'open-world')  # trained on the base half


def targets(protocol: str, dataset: dict, names: Sequence[str] = ()) -> dict[str, dict]:
    """What a protocol tests on.

    Args:
        protocol (str): Out of ``PROTOCOLS``.
        dataset (dict): The training config's ``dataset``.
        names (Sequence[str]): Benchmarks to test on instead of the
            protocol's.

    Returns:
        dict[str, dict]: Changes of ``dataset``, by title.

    Raises:
        ValueError: If the protocol or a benchmark is unknown, or the
            protocol has no choice of benchmarks.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f'Unknown protocol {protocol!r}; there are {", ".join(PROTOCOLS)}.')
    if protocol == 'base-to-new':
        if names:
            raise ValueError(
                'base-to-new tests on the dataset of the training; leave --datasets out.'
            )
        return {part: dict(subset=part) for part in ('base', 'new')}
    if not names:
        names = (
            VARIANTS
            if protocol == 'domain-generalisation'
            else [name for name in FEW_SHOT if name != dataset['name']]
        )
    names = [get_benchmark(name).name for name in names]
    return {name: dict(name=name, subset='all') for name in names}


def check_training(
    protocol: str, dataset: dict, trained: Sequence[str], unlabelled: bool = False
) -> None:
    """Refuse a checkpoint whose training does not suit the protocol.

    Args:
        protocol (str): Out of ``PROTOCOLS``.
        dataset (dict): The training config's ``dataset``.
        trained (Sequence[str]): The classes of the checkpoint.
        unlabelled (bool): Whether the training read no labels: then it may
            have seen images of all classes (PromptKD's setting).

    Raises:
        ValueError: If new classes would not be new.
    """
    if protocol not in HALVES or dataset.get('own') or unlabelled:
        return
    base = resolve_classes(dataset['name'], dataset.get('data_root', 'data'), 'base')
    if list(trained) != list(base):
        raise ValueError(
            f'The checkpoint was trained for {len(trained)} classes, but the '
            f'base half of {dataset["name"]} has {len(base)}: on classes that '
            'it has seen, "new" means nothing. Train with --cfg-options '
            'dataset.subset=base.'
        )


def predictions_file(results: str, part: str) -> str:
    """Where the predictions of one list of a protocol are: beside the protocol's results.

    Args:
        results (str): As in ``protocol_base-to-new.json``.
        part (str): The list, as in ``new``; of a folder's name, what a file's name may hold.

    Returns:
        str: As in ``protocol_base-to-new_new.npz``.
    """
    name = re.sub(r'[^\w.-]+', '_', part).strip('_')[-100:]
    return f'{osp.splitext(results)[0]}_{name}.npz'


def summary(protocol: str, accuracies: dict[str, float]) -> dict[str, float]:
    """The protocol's figure: the harmonic mean of base and new, else the
    mean; none where the figures are of several kinds."""
    values = list(accuracies.values())
    if protocol in ('open-world', 'ood'):
        return {}
    if protocol == 'base-to-new':
        return dict(harmonic_mean=harmonic_mean(values))
    return dict(mean=fmean(values))
