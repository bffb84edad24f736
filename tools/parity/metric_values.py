"""Recompute calibration, selective, out-of-distribution and class metrics."""

from collections.abc import Callable, Iterator

import numpy as np

from mmdpt.evaluation import calibration_error as calibration
from mmdpt.evaluation import metrics, ood

from .compare import compare, failed

Entries = dict[str, dict]
UNKNOWN = 'we compute nothing of this name'
INPUT = dict(skipped='an input of the computation')
ABSENT = dict(skipped='not in the file')
DESCRIPTIVE = dict(skipped='says where the numbers come from')
LINEAR = 'linear'
ROUNDING = 4 * np.finfo(np.float64).eps  # of sums of shares, some of which leave almost nothing


class Case:
    """Logits and labels, and what most values are made of."""

    def __init__(self, case: dict):
        self.logits = np.asarray(case['logits'], np.float64)
        self.labels = np.asarray(case['labels'])
        self.case = case
        self.p = metrics.softmax(self.logits)
        self.confidence, self.predicted = self.p.max(axis=1), self.logits.argmax(axis=1)
        self.both = self.confidence, self.predicted == self.labels

    @property
    def bins(self) -> int:
        """As the file says; there is no default."""
        return self.case['bins']

    def log_of_probabilities(self) -> float:
        """-log p of the label, from the softmax."""
        with np.errstate(divide='ignore'):
            return float(-np.log(self.p[np.arange(len(self.labels)), self.labels]).mean())


CLASSIFICATION: dict[str, Callable[[Case], float | np.ndarray]] = dict(
    ece=lambda c: calibration.ece_left_closed(*c.both, c.bins),
    mce_weighted=lambda c: calibration.mce_weighted(*c.both, c.bins),
    ece_right_closed=lambda c: calibration.ece(*c.both, c.bins),
    mce_right_closed=lambda c: calibration.mce(*c.both, c.bins),
    adaptive_ece=lambda c: calibration.adaptive_ece(*c.both, c.bins),
    adaptive_ece_linear_quantiles=lambda c: calibration.adaptive_ece(*c.both, c.bins, LINEAR),
    adaptive_ece_equal_count=lambda c: calibration.equal_count_ece(*c.both, c.bins),
    classwise_ece_per_class=lambda c: calibration.classwise_ece(c.p, c.labels, c.bins),
    classwise_ece=lambda c: calibration.classwise_ece(c.p, c.labels, c.bins).mean(),
    brier=lambda c: metrics.brier(c.p, c.labels),
    brier_over_classes=lambda c: metrics.brier(c.p, c.labels) / c.p.shape[1],
    nll=lambda c: metrics.nll(c.logits, c.labels),
    nll_from_probabilities=Case.log_of_probabilities,
    aurc_mean=lambda c: metrics.aurc(*c.both),
    aurc_trapezoid=lambda c: metrics.aurc_trapezoid(*c.both),
    e_aurc=lambda c: metrics.e_aurc(*c.both),
    accuracy=lambda c: metrics.accuracy(c.predicted, c.labels),
    accuracy_dassl=lambda c: metrics.accuracy(c.predicted, c.labels),
    per_class_mean_accuracy=lambda c: metrics.per_class_mean_accuracy(c.predicted, c.labels),
    macro_f1=lambda c: metrics.macro_f1(c.predicted, c.labels),
    macro_f1_all_classes=lambda c: metrics.macro_f1(c.predicted, c.labels, c.p.shape[1]),
)
OOD: dict[str, Callable[[dict], float]] = dict(
    auroc=lambda s: ood.auroc(s['in'], s['out']),
    aupr_in=lambda s: ood.aupr(s['in'], s['out']),
    fpr95=lambda s: ood.fpr95(s['in'], s['out']),
    gallop_auroc=lambda s: ood.auroc(s['in'], s['out']),
    gallop_aupr_in=lambda s: ood.aupr(s['in'], s['out']),
    gallop_aupr_out=lambda s: ood.aupr(-s['out'], -s['in']),
    gallop_fpr95=lambda s: ood.fpr95(s['in'], s['out']),
    gallop_fpr95_percentile=lambda s: ood.fpr95_percentile(s['in'], s['out']),
    gallop_detection_accuracy=lambda s: ood.detection_accuracy(s['in'], s['out']),
)
HARMONIC: dict[str, Callable[[dict], float]] = dict(
    harmonic_mean=lambda c: metrics.harmonic_mean(c['base'], c['new'])
)
AVERAGES: dict[str, Callable[[dict], float]] = dict(
    harmonic_of_average=lambda c: metrics.harmonic_mean(np.mean(c['base']), np.mean(c['new'])),
    average_of_harmonics=lambda c: np.mean(
        [metrics.harmonic_mean(*pair) for pair in zip(c['base'], c['new'], strict=True)]
    ),
)


def check_metrics(content: dict) -> Entries:
    """Compare every value of a file, or say why not.

    Args:
        content (dict): ``classification``, ``ood``, ``harmonic_mean``,
            ``harmonic_mean_of_averages``; ``meta`` describes.
    """
    found: Entries = {part: ABSENT for part in PARTS if part not in content}
    for part, value in content.items():
        if part not in PARTS:
            found[part] = DESCRIPTIVE if part == 'meta' else failed(UNKNOWN)
            continue
        cases = value if isinstance(value, list) else [value]
        names = [str(case.get('name', i)) for i, case in enumerate(cases)]
        for i, case in enumerate(cases):
            name = names[i] if names.count(names[i]) == 1 else f'{names[i]}#{i}'
            title = f'{part}/{name}' if isinstance(value, list) else part
            inputs, entries = PARTS[part]
            entries = dict(entries(case))
            found.update({f'{title}/{k}': INPUT for k in case if k in inputs})
            found.update({f'{title}/{k}': entry for k, entry in entries.items()})
            unknown = set(case) - set(entries) - {*inputs, 'values'}
            found.update({f'{title}/{k}': failed(UNKNOWN) for k in sorted(unknown)})
    return found


def _classification(case: dict) -> Iterator[tuple[str, dict]]:
    missing = [name for name in ('logits', 'labels') if name not in case]
    whole = None if missing else Case(case)
    yield from _values(case.get('values', {}), CLASSIFICATION, missing, whole)


def _ood(case: dict) -> Iterator[tuple[str, dict]]:
    told, absent = {}, []
    for side in ('in', 'out'):
        key, inputs = f'mcm_{side}', (f'logits_{side}', 'temperature', 'logit_scale')
        missing = [name for name in inputs if name not in case]
        if not missing:
            logits, temperature, scale = (case[name] for name in inputs)
            told[side] = ood.scores(logits, 'mcm', temperature, scale)
        if key in case:
            yield key, _compared(key, told.__getitem__, case[key], missing, side)
            told[side] = np.asarray(case[key], np.float64)  # ties are those of the file
        else:
            absent += missing
    yield from _values(case.get('values', {}), OOD, absent, told)


def _values(values: dict, known: dict, missing: list[str], given) -> Iterator[tuple[str, dict]]:
    for key in {**known, **values}:
        if key not in known:
            yield key, failed(UNKNOWN)
        elif key not in values:
            yield key, ABSENT
        else:
            yield key, _compared(key, known[key], values[key], missing, given)


def _harmonic(case: dict) -> Iterator[tuple[str, dict]]:
    yield from _values({k: case[k] for k in HARMONIC if k in case}, HARMONIC, [], case)


def _averages(case: dict) -> Iterator[tuple[str, dict]]:
    yield from _values({k: case[k] for k in AVERAGES if k in case}, AVERAGES, [], case)


PARTS = dict(
    classification=(('name', 'bins', 'logits', 'labels'), _classification),
    ood=(('name', 'temperature', 'logit_scale', 'logits_in', 'logits_out'), _ood),
    harmonic_mean=(('name', 'base', 'new'), _harmonic),
    harmonic_mean_of_averages=(('name', 'base', 'new'), _averages),
)


def _compared(key: str, of: Callable, theirs, missing: list[str], given) -> dict:
    try:
        ours = None if missing else of(given)
    except KeyError as error:
        missing = [str(error.args[0])]
    if missing:
        return failed(f'needs {", ".join(missing)}, which the file does not say')
    entry = compare(key, np.asarray(ours, np.float64), np.asarray(theirs, np.float64), 'float64')
    error = entry['max_abs_error']
    return dict(entry, passed=entry['passed'] or (error is not None and error <= ROUNDING))
