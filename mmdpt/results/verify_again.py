"""Test a run's checkpoint again, or train it again, and compare."""

import os.path as osp
import tempfile
from collections.abc import Iterator
from copy import deepcopy

import torch
from mmengine.config import Config

from ..engine import for_runner, read_checkpoint
from ..engine.cli import build_runner
from ..engine.collect_predictions import collect_predictions
from ..evaluation.predictions import PREDICTIONS, ZERO_SHOT, Predictions
from ..utils.seal import read_sealed
from .verify import Check, Run, compare_logits, said
from .verify_said import check_buildable


def retest(run: Run) -> Iterator[Check]:
    """Compute the logits from the checkpoint again.

    Yields:
        Check: Equal bit for bit, equal but for rounding, or how far apart.
    """
    path = run.checkpoint
    if run.cfg is None or path is None or not osp.isfile(path):
        yield Check('test again', 'not checked', 'the folder lacks the config or the checkpoint')
        return
    with tempfile.TemporaryDirectory() as folder:
        cfg = _prepared(run.cfg, folder)
        cfg.load_from = for_runner(path)
        runner = build_runner(cfg)
        collector = collect_predictions(runner, runner.test_loop)
        runner.test()
    found, _, reason, _ = collector.take()
    if found is None:
        yield Check('test again', 'not checked', reason)
    else:
        yield compare_logits('test again', found, run.stored.get(PREDICTIONS))


def retrain(run: Run) -> Iterator[Check]:
    """Train again with the config that the folder has, and compare what was learnt.

    On a CPU with the same number of threads and the same versions the weights are equal bit
    for bit; elsewhere they say by how much they differ.

    Yields:
        Check: Of the weights and of the logits.
    """
    path, changed = run.checkpoint, run.results.get('resumed_with_changes')
    if run.cfg is None or path is None or not osp.isfile(path):
        yield Check('train again', 'not checked', 'the folder lacks the config or the checkpoint')
        return
    if changed:
        yield Check('train again', 'not checked', 'its settings were changed on resuming')
        return
    with tempfile.TemporaryDirectory() as folder:
        build_runner(_prepared(run.cfg, folder)).train()
        results = read_sealed(osp.join(folder, 'results.json'))
        again = osp.join(folder, osp.basename(results['checkpoint']['path']))
        ours, theirs = (read_checkpoint(p)['state_dict'] for p in (again, path))
        yield _weights(ours, theirs, results['versions'], run.results.get('versions') or {})
        for file, name in ((PREDICTIONS, 'tested after it'), (ZERO_SHOT, 'tested before it')):
            if osp.isfile(osp.join(folder, file)):
                found = Predictions.read(osp.join(folder, file))
                yield compare_logits(name, found, run.stored.get(file))
        used = [(one.get('used_for') or {}) for one in (results, run.results)]
        text = f'{used[0]}' if used[0] == used[1] else f'{used[1]} in the results, now {used[0]}'
        yield said(used[0] == used[1], 'used for', text)


def _prepared(cfg: Config, folder: str) -> Config:
    """The config of a run, to be run in another folder."""
    check_buildable(cfg)
    cfg = deepcopy(cfg)
    if cfg.get('resume'):
        cfg.resume, cfg.load_from = False, None
    cfg.work_dir = folder
    cfg.experiment_name = f'verify_{osp.basename(folder)}'
    return cfg


def _weights(ours: dict, theirs: dict, now: dict, then: dict) -> Check:
    if list(ours) != list(theirs):
        return Check('train again', 'differs', 'other tensors are learnt')
    gaps = {
        name: (ours[name].double() - theirs[name].double()).abs().max().item()
        for name in ours
        if not torch.equal(ours[name], theirs[name])
    }
    if not gaps:
        return Check('train again', 'agrees', f'{len(ours)} tensors, bit for bit')
    name = max(gaps, key=gaps.__getitem__)
    other = [f'{k} {then.get(k)}, now {v}' for k, v in now.items() if then.get(k) != v]
    text = f'{len(gaps)} of {len(ours)} tensors, {name} by up to {gaps[name]:.2g}'
    more = f'; other versions: {", ".join(other)}' if other else ''
    return said(False, 'train again', f'{text}; {torch.get_num_threads()} threads here{more}')
