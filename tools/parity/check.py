"""Check a folder of reference numbers, case by case."""

import json
import traceback
from pathlib import Path

from mmengine.config import Config

from . import (
    coprompt,
    features,
    methods,
    metric_values,
    promptkd,
    protocol,
    skiptuning,
    transclip,
    two_stage,
)
from .compare import compare, compare_lists, failed, judge_changes, judge_entries, judge_run, worst
from .golden import Golden, read_npz
from .settings import NotImplementedCase

INPUTS = (
    'images',
    'labels',
    'param/',
    'traj/images',
    'traj/labels',
    'allmiss/labels',
    'image_',
    'support/',
    'train/',
    'val/',
    'test/',
    'test_new/',
    'fixed/',
    'cache/labels',
    'cache/images',
    'skip/reserve_mask',
    'traj/batch_index',
    'traj/description_index',
    'teacher/',
    'buffer/',
    'pool/',
    'new/',
    'traj/permutation',
    'traj/half_choice',
)

OWN_RUNS = {
    **dict.fromkeys(features.METHODS, features.recompute),
    'SkipTuning': skiptuning.recompute,
    'CoPrompt': coprompt.recompute,
    'PromptKD': promptkd.recompute,
    'TransCLIP': transclip.recompute,
    two_stage.METHOD: two_stage.recompute,
}


def check_folder(
    folder: Path,
    config: Config,
    cases: list[str] | None = None,
    dtype: str = 'float64',
    device: str = 'cpu',
) -> dict[str, dict]:
    """Recompute every case of a folder through the modules that train.

    Args:
        folder (Path): Holds ``CASE.npz`` and ``CASE.json`` files and the CLIP
            weights that they name.
        config (Config): A config with ``test_pipeline`` and
            ``data_preprocessor``, for the preprocessing case.
        cases (list[str], optional): Only these. Defaults to all.
        dtype (str): 'float64' or 'float32'.
        device (str): What we compute on.

    Returns:
        dict: By case: ``status`` ('passed', 'failed', 'not implemented'),
        ``max_abs_error``, ``max_rel_error``, ``tensors`` (by key, compared or
        skipped, the latter with its reason) and perhaps ``reason``.

    Raises:
        FileNotFoundError: If the folder, or a case asked for, is missing.
    """
    folder = Path(folder)
    files = {
        f.stem: f
        for f in sorted(folder.glob('*'))
        if f.suffix in ('.npz', '.json') and not _is_clip(f)
    }
    if not files:
        raise FileNotFoundError(f'{folder} holds no .npz or .json case.')
    missing = [c for c in cases or [] if c not in files]
    if missing:
        raise FileNotFoundError(
            f'{folder} has no case {", ".join(missing)}; it has {", ".join(files)}.'
        )
    return {name: check_case(files[name], config, dtype, device) for name in cases or files}


def _is_clip(path: Path) -> bool:
    """Weights that cases share are no case themselves."""
    try:
        return path.suffix == '.npz' and 'arch' in read_npz(path)[0]
    except Exception:
        return False  # reported when its turn as a case comes


def check_case(path: Path, config: Config, dtype: str, device: str) -> dict:
    """Check one case file; an error in it is a failure, with its reason."""
    try:
        if path.suffix == '.json':
            tensors = _check_json(path)
        else:
            tensors = _check_npz(path, config, dtype, device)
    except NotImplementedCase as reason:
        return dict(
            status='not implemented',
            max_abs_error=None,
            max_rel_error=None,
            tensors={},
            reason=str(reason),
        )
    except Exception as error:
        traceback.print_exc()
        return dict(
            status='failed',
            max_abs_error=None,
            max_rel_error=None,
            tensors={},
            reason=f'{type(error).__name__}: {error}',
        )
    compared = [t for t in tensors.values() if 'skipped' not in t]
    passed = bool(compared) and all(t['passed'] for t in compared)
    return dict(
        status='passed' if passed else 'failed',
        max_abs_error=worst(tensors, 'max_abs_error'),
        max_rel_error=worst(tensors, 'max_rel_error'),
        tensors=tensors,
    )


def _check_json(path: Path) -> dict[str, dict]:
    content = json.loads(path.read_text(encoding='utf-8'))
    if 'fewshot' in content:
        return {
            key: compare_lists(ours, theirs)
            for key, (ours, theirs) in protocol.few_shot_sampling(content).items()
        }
    if set(metric_values.PARTS) & set(content):
        return metric_values.check_metrics(content)
    if 'runs' not in content:
        raise NotImplementedCase('unknown content')
    return {
        key: compare(key, ours, theirs, 'float64')
        for key, (ours, theirs) in protocol.lr_schedule(content).items()
    }


def _check_npz(path: Path, config: Config, dtype: str, device: str) -> dict[str, dict]:
    meta, arrays = read_npz(path)
    if meta.get('code') == features.CLAP_CODE:
        meta['method'] = 'clap'
    if 'crop_uint8' in arrays:
        # The transform has one precision, single: so is the comparison.
        found, dtype = protocol.preprocess(arrays, config), 'float32'
    elif meta.get('method') == 'linear probe':
        found = protocol.linear_probe(arrays, meta)
    elif meta.get('method') in OWN_RUNS:
        found = OWN_RUNS[meta['method']](Golden(path.parent, meta, arrays, dtype, device))
    elif meta.get('method') in methods.METHODS:
        found = methods.recompute(Golden(path.parent, meta, arrays, dtype, device))
    else:
        raise NotImplementedCase(f'method {meta.get("method")}')
    unread = meta.unread()
    if unread and 'crop_uint8' not in arrays:
        raise NotImplementedCase(f'settings that nothing here reads: {", ".join(unread)}')
    tensors = _compare_all(found, arrays, dtype, meta.get('method'))
    plan = meta.get('trajectory', {})
    judged = meta.get('method') != two_stage.METHOD  # whose own limits are of each tensor
    if judged and ('adamw' in plan or 'optimiser' in plan) and dtype == 'float32':
        tensors.update(judge_run(found, arrays, tensors, plan['base_lr']))
    if meta.get('method') == 'PromptKD':
        tensors.update(promptkd.judged_apart(found, arrays, dtype))
    if meta.get('method') == 'ProLIP' and dtype == 'float32':
        key = 'traj/final/proj'
        tensors[key] = judge_entries(found[key], arrays[key], tensors[key])
    if meta.get('method') == 'SkipTuning' and dtype == 'float32':
        tensors.update(judge_changes(found, arrays, tensors))
    if meta.get('method') == 'linear probe':
        tensors.update(protocol.solver_dependent(tensors, meta))
    return tensors


def _compare_all(found: dict, arrays: dict, dtype: str, method: str | None) -> dict[str, dict]:
    """Every key of the file is compared, or skipped with a reason."""
    tensors = {}
    for key, theirs in arrays.items():
        if key.startswith(INPUTS) and key not in found:
            tensors[key] = dict(skipped='an input of the computation')
        elif not theirs.size:
            tensors[key] = dict(skipped='empty: no block takes plain prompts')
        elif key in found:
            tensors[key] = compare(key, found[key], theirs, dtype, method)
        else:
            tensors[key] = failed('we compute nothing of this name')
    # A gradient that the reference has not must not go unnoticed here.
    for key in found:
        if key.startswith(('grad', 'allmiss/grad', 'traj/final/')) and key not in arrays:
            tensors[key] = failed('not in the file')
    return tensors
