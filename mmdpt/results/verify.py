"""Whether a run is what it says: hashes, figures, draw, and on request test and training."""

import os.path as osp
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS

from ..datasets import innermost, share_dataset
from ..engine import CheckpointError, read_checkpoint
from ..engine.collect_predictions import image_keys
from ..engine.entry import read_entry
from ..evaluation.predictions import LARGEST_FILE, PREDICTIONS, ZERO_SHOT, Predictions, list_digest
from ..utils.files import sha256_of
from ..utils.seal import check_seal, read_plain
from .left_config import read_left_config
from .row import METRIC
from .schema import check as check_results
from .verify_said import check_buildable, unlike_checkpoint, unlike_data, unlike_predictions

NEAR = 1e-3  # points of accuracy: the metric is single precision
RESULTS = 'results.json'
UNREADABLE = (OSError, ValueError, KeyError, TypeError, CheckpointError)


class Check(NamedTuple):
    """What was compared, how it came out, and the values."""

    name: str
    state: Literal['agrees', 'differs', 'not checked']
    text: str


class Run(NamedTuple):
    """A run's folder and what is in it.

    Attributes:
        folder: The work directory.
        results: Of ``results.json``.
        cfg: The config that MMEngine left, read without running it; None without one.
        stored: The readable ones of the files with predictions, by name.
    """

    folder: str
    results: dict[str, Any]
    cfg: Config | None
    stored: dict[str, Predictions]

    @property
    def checkpoint(self) -> str | None:
        """The file of what was learnt; the folder may have moved since."""
        path = (self.results.get('checkpoint') or {}).get('path')
        return path and osp.join(self.folder, osp.basename(path))


def said(agrees: bool, name: str, text: str) -> Check:
    """A comparison that was made."""
    return Check(name, 'agrees' if agrees else 'differs', text)


def open_run(folder: str) -> tuple[Run, list[Check]]:
    """Read a run and compare its hashes.

    Args:
        folder (str): The work directory of a training.

    Raises:
        OSError, ValueError: If there are no results, or none that can be read.
    """
    results = read_plain(osp.join(folder, RESULTS))
    try:
        check_seal(results)
        checks = [Check(RESULTS, 'agrees', 'its checksum is right')]
    except ValueError as error:
        checks = [Check(RESULTS, 'differs', str(error))]
    check_results(results)
    if results.get('evaluation_only') or 'protocol' in results:
        raise ValueError(f'{folder} holds no training: verify the folder of the training itself')
    run = Run(folder, results, _config(folder, results), {})
    for name, digest in (results.get('files') or {}).items():
        checks += _stored(run, name, digest)
    return run, [*checks, *_weights(run)]


def _config(folder: str, results: dict) -> Config | None:
    name = osp.basename(results.get('config') or '')
    found = read_left_config(osp.join(folder, name)) if name else None  # type: ignore[arg-type]
    return share_dataset(Config(found)) if found else None


def _stored(run: Run, name: str, digest: str) -> Iterator[Check]:
    path = osp.join(run.folder, osp.basename(name))
    try:
        same = sha256_of(path, LARGEST_FILE).hexdigest() == digest
        run.stored[name] = Predictions.read(path)
    except (OSError, ValueError) as error:
        yield Check(name, 'differs', str(error))
        return
    yield said(same, name, 'SHA-256 as in the results' if same else 'the file was changed')


def _weights(run: Run) -> Iterator[Check]:
    path, noted = run.checkpoint, (run.results.get('checkpoint') or {}).get('sha256')
    if path is None:
        return
    name = osp.basename(path)
    if not osp.isfile(path):
        yield Check(name, 'not checked', 'it is not in the folder')
    elif noted is None:
        yield Check(name, 'not checked', 'an older mmdpt noted no hash of the checkpoint')
    else:
        same = sha256_of(path).hexdigest() == noted
        yield said(same, name, 'SHA-256 as in the results' if same else 'the weights were changed')


def compare_figures(run: Run) -> Iterator[Check]:
    """Recompute the accuracies from the stored logits."""
    for name, key in ((PREDICTIONS, 'few_shot'), (ZERO_SHOT, 'zero_shot')):
        found, figures = run.stored.get(name), run.results.get(key)
        if found is None or not figures or (found.labels < 0).any():
            why = 'no stored logits' if found is None else 'no accuracy, or no labels'
            yield Check(f'{key} accuracy', 'not checked', why)
            continue
        ours = 100 * found.correct().double().mean().item()
        told = figures[METRIC]
        yield said(
            abs(ours - told) < NEAR,
            f'{key} accuracy',
            f'{told:.4f} in the results, {ours:.4f} from the logits of {len(found.images)} images',
        )
        data = found.identity.get('data')
        noted = data.get('digest') if isinstance(data, dict) else None
        yield said(noted == found.digest, f'{key} images', 'list and labels against their digest')


def compare_identities(run: Run) -> Iterator[Check]:
    """What the results say against what the files with predictions say."""
    for name, found in run.stored.items():
        try:
            unlike = unlike_predictions(run.results, found.identity, name != ZERO_SHOT)
        except (AttributeError, TypeError):
            unlike = ['its identity has another form']
        yield said(not unlike, f'said in {name}', '; '.join(unlike) or 'the same of the run')


def compare_data(run: Run) -> Iterator[Check]:
    """Draw the training images again, and list the test images."""
    if run.cfg is None:
        yield Check('draw', 'not checked', 'the folder has no config of the training')
        return
    init_default_scope('mmpretrain')
    try:
        check_buildable(run.cfg)
        yield from _settings(run, run.cfg)
        yield from _draw(run, run.cfg)
        yield from _test_list(run, run.cfg)
    except UNREADABLE as error:
        yield Check('data', 'not checked', str(error))


def _settings(run: Run, cfg: Config) -> Iterator[Check]:
    if not run.checkpoint or not osp.isfile(run.checkpoint):
        return
    meta = read_checkpoint(run.checkpoint)['meta']
    unlike = unlike_checkpoint(run.results, meta, read_entry(meta), cfg)
    yield said(not unlike, 'config', '; '.join(unlike) or 'the settings in the checkpoint')


def _draw(run: Run, cfg: Config) -> Iterator[Check]:
    inner = next(innermost(cfg.train_dataloader.dataset))
    dataset = DATASETS.build(dict(inner, lazy_init=True))
    if not hasattr(dataset, 'draw'):
        yield Check('draw', 'not checked', f'{type(dataset).__name__} draws nothing')
        return
    count = len(dataset.load_data_list())
    hashes = dict(results=run.results.get('draw_hash'))
    if run.checkpoint and osp.isfile(run.checkpoint):
        hashes['checkpoint'] = read_entry(read_checkpoint(run.checkpoint)['meta']).get('draw_hash')
    others = [f'{place}: {str(h)[:12]}' for place, h in hashes.items() if h != dataset.draw_hash]
    text = f'{dataset.draw_hash[:12]}, {count} images'
    yield said(
        not others,
        'draw',
        f'drawn again: {text}' + (f'; but {", ".join(others)}' if others else ''),
    )
    seed = (cfg.get('randomness') or {}).get('seed', run.results.get('seed'))
    unlike = unlike_data(run.results, dataset.metainfo, seed)
    yield said(not unlike, 'said of the data', '; '.join(unlike) or 'as the config has it')
    flipped = dataset.metainfo.get('flipped') or None
    if flipped or run.results.get('flipped'):
        count = len(flipped or ())
        same = flipped == run.results.get('flipped')
        yield said(same, 'noisy labels', f'drawn again: {count} labels flipped')


def _test_list(run: Run, cfg: Config) -> Iterator[Check]:
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    keys = image_keys(dataset, [info['img_path'] for info in infos])
    digest = list_digest(keys, [info['gt_label'] for info in infos])
    classes = list(dataset.metainfo.get('classes') or ())
    for name, stored in run.stored.items():
        same = digest == stored.digest and classes == stored.classes
        text = f'{len(keys)} images and labels, {len(classes)} classes on the disk'
        yield said(same, f'list of {name}', text)


def compare_logits(name: str, ours: Predictions, stored: Predictions | None) -> Check:
    """Logits that were computed again against stored ones."""
    if stored is None:
        return Check(name, 'not checked', 'no stored logits')
    if ours.images != stored.images or ours.logits.shape != stored.logits.shape:
        return Check(name, 'differs', 'other images or classes')
    if torch.equal(ours.logits, stored.logits):
        return Check(name, 'agrees', f'{len(ours.images)} rows of logits, bit for bit')
    gap = (ours.logits - stored.logits).abs().max().item()
    moved = int((ours.logits.argmax(1) != stored.logits.argmax(1)).sum())
    text = f'logits differ by up to {gap:.2g}, {moved} of {len(ours.images)} answers change'
    near = gap <= 1e-4 * stored.logits.abs().max().item() and not moved
    return said(near, name, text + (' (rounding)' if near else ''))
