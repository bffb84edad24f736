"""What the files of a run say, as rows."""

import os
import re
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .left_config import read_left_config
from .row import COSTS, METRIC, Row, parse_name, zero_shot_name
from .schema import Described, UsedFor, says_what_it_is

UNLABELLED = 'unlabelled images'
VERSIONS = ('mmdpt', 'torch', 'mmengine', 'mmpretrain')


def result_rows(results: dict, path: Path) -> list[Row]:
    """Rows of a ``results.json``: of a training its own, zero-shot and the
    baselines; of an evaluation, as a sweep has it, the one of zero-shot CLIP.

    Raises:
        KeyError, TypeError, ValueError: If figures are missing or not numbers.
    """
    own = _described(results, path)
    if results.get('evaluation_only'):
        return [
            replace(
                own,
                method=own.method.replace('zeroshot', 'zero_shot'),
                shots=0,
                accuracy=results['zero_shot'][METRIC],
            )
        ]
    own.accuracy = results['few_shot'][METRIC]
    for name in COSTS:
        setattr(own, name, results.get(name))
    other: dict = dict(dict.fromkeys(COSTS), chosen_on_test=None)
    # zero-shot CLIP sees no training image, but the corrupted test images
    tested = own.data if (results.get('data_protocol') or {}).get('corruption') else ''
    rows = [own]
    if results.get('zero_shot'):
        rows.append(
            replace(
                own,
                method=zero_shot_name(results.get('templates'), results.get('described')),
                shots=0,
                seed=None,
                draw_hash='',
                accuracy=results['zero_shot'][METRIC],
                data=tested,
                **other,
            )
        )
    for name, accuracy in (results.get('baselines') or {}).items():
        rows.append(replace(own, method=name, accuracy=accuracy, **other))
    return rows


def protocol_rows(results: dict, path: Path) -> list[Row]:
    """Rows of a ``protocol_*.json``, one for each target.

    Raises:
        KeyError, TypeError, ValueError: If it does not say which training it
            tests, or figures are not numbers.
    """
    if not results.get('benchmark'):
        raise ValueError(
            'it does not say which training it tests; run tools/test_protocol.py again'
        )
    common = replace(_described(results, path), protocol=results['protocol'])
    return [
        replace(common, target=target, accuracy=accuracy)
        for target, accuracy in results['accuracy'].items()
    ]


def unfinished_row(folder: Path) -> Row:
    """The row of a training without results; the config that the Runner left
    in its folder says what was trained."""
    note = f'training started, {_progress(folder)}, no results.json: failed or still running'
    return replace(_of_config(folder), status='unfinished', source=str(folder), note=note)


def damaged_row(file: Path, error: str, results: dict | None) -> Row:
    """The row of a results file that cannot be used.

    Args:
        file (Path): The file.
        error (str): What is wrong with it.
        results (dict, optional): Its content, as far as it is JSON.
    """
    if results is not None and says_what_it_is(results):
        run = _described(results, file)
    else:
        run = _of_config(file.parent)
    protocol = re.fullmatch(r'protocol_(.+)\.json', file.name)
    return replace(
        run,
        status='damaged',
        source=str(file),
        note=f'cannot be read ({error})',
        protocol=protocol.group(1) if protocol else run.protocol,
    )


def _described(results: dict, path: Path) -> Row:
    method, arch, dataset = parse_name(results.get('config'))
    clip, commit = results.get('clip') or {}, results.get('commit') or {}
    versions = {name: results.get('versions', {}).get(name, '') for name in VERSIONS}
    used = results.get('used_for') and UsedFor.model_validate(results['used_for'])
    return Row(
        method=(results.get('method') or method)
        + (' (best on val)' if results.get('selected') else ''),
        # an evaluation's results and a backbone's name no CLIP; the config beside them does
        arch=str(clip.get('arch') or _of_config(path.parent).arch or arch),
        dataset=results.get('benchmark') or dataset or '?',
        subset=results.get('subset') or 'all',
        shots=results['shots'],
        seed=results['seed'],
        draw_hash=results.get('draw_hash') or '',
        clip_fingerprint=str(clip.get('fingerprint') or ''),
        **versions,
        commit=commit.get('commit', ''),
        dirty=commit.get('dirty'),
        finished=results.get('finished') or _changed(path),
        data=_data(results),
        chosen_on_test=used.on_test if used else None,
        source=str(path),
    )


def _data(results: dict) -> str:
    parts = [UNLABELLED] if results.get('unlabelled_images') else []
    return ', '.join([*parts, *filter(None, [(results.get('data_protocol') or {}).get('name')])])


def _of_config(folder: Path) -> Row:
    """What the dumped config says, which is not run; '?' for what it does not."""
    configs = sorted(filter(Path.is_file, folder.glob('*.py')), key=os.path.getmtime)
    if not configs:
        return Row()
    try:
        said = _said(read_left_config(configs[-1]), configs[-1].name)
    except (AttributeError, TypeError, ValueError):  # it is none of MMEngine's
        return Row()
    return Row(**said)


def _said(cfg: dict, file: str) -> dict[str, Any]:
    """Fields of a row.

    Raises:
        AttributeError, TypeError, ValueError: If it has another form than a config.
    """
    from mmdpt.datasets import innermost
    from mmdpt.datasets.data_protocol import read_protocol

    method, arch, dataset = parse_name(file)
    train = next(innermost((cfg.get('train_dataloader') or {}).get('dataset')), {})
    shared, report = cfg.get('dataset') or {}, (cfg.get('default_hooks') or {}).get('report') or {}
    said = Described(
        method=report.get('method') or method,
        benchmark=shared.get('name') or dataset or '?',
        subset=shared.get('subset') or 'all',
        shots=train.get('shots'),
        seed=(cfg.get('randomness') or {}).get('seed'),
    ).model_dump(include={'method', 'benchmark', 'subset', 'shots', 'seed'})
    # of a config of sizes its name stands for the architecture
    model = cfg.get('model') or {}
    named = model.get('arch') or (model.get('backbone') or {}).get('arch')
    arch = named if isinstance(named, str) and len(named) <= 200 else arch
    data = UNLABELLED if train.get('unlabelled') else ''
    data = ', '.join(filter(None, [data, read_protocol(shared.get('protocol')).name]))
    return dict(said, dataset=said.pop('benchmark'), arch=arch, data=data)


def _progress(folder: Path) -> str:
    epochs = [
        int(found.group(1))
        for name in os.listdir(folder)
        if (found := re.fullmatch(r'epoch_(\d+)\.pth', name))
    ]
    return f'epoch {max(epochs)} saved' if epochs else 'no epoch saved'


def _changed(path: Path) -> str:
    moment = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
    return moment.isoformat(timespec='seconds')
