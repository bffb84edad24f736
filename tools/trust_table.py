"""Accuracy, calibration and other images of every method, from the runs of a sweep.

    python tools/sweep.py configs/sweeps/tiny_digits_trust.py --work-dir work_dirs/trust
    python tools/trust_table.py work_dirs/trust --out work_dirs/trust_table

Of each run under the benchmark's conditions: what it says of the test images (as stored), of its
validation images (for the temperature) and of typed letters, which are no digits. Of the runs
with imbalanced or wrong labels: the accuracy. Writes OUT.csv, a row a run, and OUT.md: means over
the seeds with half of their 95 % intervals, and letters of the groups that do not differ (the
rule of ``collect_results --groups``). For developers.
"""

import argparse
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS

from check_fit import SETS, write
from mmdpt.apis.plan import build, plan_of_checkpoint
from mmdpt.engine.measure import logits_of
from mmdpt.engine.other_images import other_images
from mmdpt.evaluation import metrics, ood
from mmdpt.evaluation.calibration import calibration
from mmdpt.evaluation.intervals import letters
from mmdpt.evaluation.predictions import Predictions
from mmdpt.models.clip.load import keep_clip
from mmdpt.results.cells import spelt
from mmdpt.results.groups import different
from mmdpt.sweep.compose import TITLES
from mmdpt.utils.intervals import half_width

CONDITIONS = ('plain', 'imbalanced', 'noisy')
COLUMNS = dict(
    accuracy='accuracy',
    ece='ECE',
    tempered='ECE, tempered',
    auroc='AUROC, letters',
    imbalanced='accuracy, imbalanced',
    noisy='accuracy, 40 % wrong',
)
TESTED = dict(plain='accuracy', imbalanced='imbalanced', noisy='noisy')


def figures(test: Predictions, val, labels, others) -> dict[str, float]:
    """Of one model, from its logits of three lists."""
    found = calibration(val, labels, 'validation images')
    sure = [ood.scores(logits, 'msp') for logits in (test.logits, others)]
    truth = test.labels.numpy()
    return dict(
        accuracy=100 * test.correct().double().mean().item(),
        ece=100 * metrics.summary(test.logits, truth)['ece'],
        tempered=100 * metrics.summary(test.logits / found.temperature, truth)['ece'],
        temperature=found.temperature,
        auroc=100 * ood.auroc(*sure),
    )


def method_of(folder: Path) -> str:
    """As the configs name it."""
    return folder.name.split('_tiny_digits')[0]


def measured(folder: Path, photos: Path) -> list[tuple[str, dict, np.ndarray]]:
    """(method, figures, bits) of a run under the benchmark's conditions, and of zero-shot CLIP."""
    results = json.loads((folder / 'results.json').read_text())
    file = str(next(folder.glob('*_16shot*.py')))
    cfg = Config.fromfile(file)
    checkpoint = (folder / 'last_checkpoint').read_text().strip()
    # a classifier of MMPretrain's does not carry how it was made
    plan = plan_of_checkpoint(checkpoint, None if 'arch' in cfg.model else file)
    model = build(plan)
    about = dict(cfg.train_dataloader.dataset, split='val', pipeline=plan.pipeline)
    val, others = DATASETS.build(about), other_images(cfg, str(photos))
    assert val.draw_hash == results['draw_hash'], folder
    labels = torch.from_numpy(val.get_gt_labels())

    def row(name: str) -> tuple[dict, np.ndarray]:
        test = Predictions.read(str(folder / name))
        found = figures(test, logits_of(model, val), labels, logits_of(model, others))
        return dict(found, seed=results['seed']), test.correct().numpy()

    rows = [(method_of(folder), *row('predictions.npz'))]
    if method_of(folder) == 'dpt':
        with model.zero_shot():
            rows.append(('zero_shot', *row('zero_shot.npz')))
    return rows


def collect(folder: Path) -> tuple[dict, dict]:
    """Figures (condition, method) -> rows and bits (condition, method) -> {seed: correct}."""
    rows, bits = defaultdict(list), defaultdict(dict)
    with tempfile.TemporaryDirectory() as place, keep_clip():
        make, _ = SETS['letters']
        photos = write(make(), Path(place)).parent
        for run in sorted(folder.glob('*_seed?')):
            if not (run / 'results.json').exists():
                print(f'{run.name} is not finished: its cell stays empty', flush=True)
                continue
            condition = run.name.split('_')[-2]
            if condition == 'plain':
                found = measured(run, photos)
            else:
                test = Predictions.read(str(run / 'predictions.npz'))
                results = json.loads((run / 'results.json').read_text())
                accuracy = 100 * test.correct().double().mean().item()
                one = {'seed': results['seed'], condition: accuracy}
                found = [(method_of(run), one, test.correct().numpy())]
            for method, row, correct in found:
                rows[condition, method].append(row)
                bits[condition, method][row['seed']] = correct
            print(run.name, {k: round(v, 2) for k, v in found[0][1].items()}, flush=True)
    return rows, bits


def groups(bits: dict, condition: str) -> dict[str, str]:
    """The letters of each method."""
    found = {m: runs for (c, m), runs in bits.items() if c == condition}
    seeds = sorted(set.intersection(*(set(runs) for runs in found.values())))
    order = sorted(found, key=lambda m: -np.mean([found[m][s] for s in seeds]))
    correct = np.stack([[found[m][s] for s in seeds] for m in order])
    return dict(zip(order, letters(different(correct))))


def table(rows: dict, bits: dict) -> str:
    """Markdown; the most accurate method first."""
    said = {TESTED[c]: groups(bits, c) for c in CONDITIONS}
    methods = sorted(
        {m for _, m in rows}, key=lambda m: -fmean(r['accuracy'] for r in rows['plain', m])
    )
    lines = ['| method | ' + ' | '.join(COLUMNS.values()) + ' |', '|---' * 7 + '|']
    for method in methods:
        cells = []
        for key in COLUMNS:
            found = [r[key] for c in CONDITIONS for r in rows.get((c, method), ()) if key in r]
            text = f'{fmean(found):.1f}' if found else '—'
            if len(found) > 1 and (deviation := stdev(found)):
                text += f' ± {half_width(deviation, len(found)):.1f}'
            cells.append(f'{text} {spelt(said.get(key, {}).get(method, ""))}'.strip())
        lines.append(f'| {TITLES.get(method, method)} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def main() -> None:
    """The command."""
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--out', required=True, help='without an ending')
    args = parser.parse_args()
    init_default_scope('mmpretrain')
    rows, bits = collect(args.folder)
    flat = [dict(condition=c, method=m, **row) for (c, m), found in rows.items() for row in found]
    pd.DataFrame(flat).to_csv(f'{args.out}.csv', index=False)
    Path(f'{args.out}.md').write_text(table(rows, bits))
    print(table(rows, bits))


if __name__ == '__main__':
    main()
