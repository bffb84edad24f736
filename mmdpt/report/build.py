"""From a run to what its report says."""

import os.path as osp
import re
import shlex
from typing import Any

from mmdpt.engine.provenance import now
from mmdpt.paths import spoken
from mmdpt.version import __version__

from . import accuracy, attention, classes, pictures, trust
from .content import Attention, Difference, Fact, Report
from .data import data_warnings, open_photos, training_counts
from .run import RunFolder

WRONG, UNSURE = 24, 12  # thumbnails; attention shows some of them again
LARGEST_MATRIX = 100  # classes
HASH = re.compile('[0-9a-f]{64}')
USED_FOR = dict(
    training='training',
    selection='choice of method, settings and epoch',
    calibration='calibration of the probabilities',
    report='figures of this report',
)


def build(run: RunFolder, pretrained: str | None = None) -> tuple[Report, dict[str, str]]:
    """Make the content of a report.

    Args:
        run (RunFolder): A finished run.
        pretrained (str, optional): Where CLIP's weights are on this machine.

    Returns:
        tuple[Report, dict[str, str]]: The content, and the pictures as data URIs: a photo's by
        its name, its attention's by ``attention NAME``.
    """
    found = accuracy.accuracies(run)
    differences = _differences(run)
    counts = _training_counts(run)
    rows = classes.class_rows(run.predictions, run.zero_shot, counts)
    wrong, unsure = classes.choose_photos(run.predictions, WRONG, UNSURE, run.temperature)
    files, photos_reason = open_photos(run.config, 'train' if run.cross_validated else 'test')
    shown = pictures.thumbnails(files, [photo.image for photo in [*wrong, *unsure]])
    looked, why = attention.draw(run, files, attention.choose(wrong, unsure), pretrained)
    source = run.calibration.source if run.calibration else ''
    calibration = trust.calibration(run.predictions, run.temperature, source)
    warnings = _warnings(run, found, differences)
    matrix = classes.confusion(run.predictions) if len(rows) <= LARGEST_MATRIX else None
    report = Report(
        title=f'{run.method} on {run.benchmark}',
        made=now(),
        version=__version__,
        summary=_summary(run, found, differences, calibration.ece),
        warnings=warnings,
        done=_done(run, counts),
        accuracies=found,
        differences=differences,
        no_difference='' if differences else _no_difference(run),
        classes=rows,
        matrix=None if matrix is None else matrix.tolist(),
        confusions=classes.confusions(run.predictions),
        wrong_images=int((~run.predictions.correct()).sum()),
        wrong=wrong,
        unsure=unsure,
        photos_reason=photos_reason,
        calibration=calibration,
        attention=Attention(images=list(looked), reason=why),
        learning=trust.learning_curve(run, rows),
        data=_data(run),
        used_for=_used_for(run),
        commands=_commands(run),
        versions=_versions(run),
    )
    return report, {**shown, **{f'attention {name}': uri for name, uri in looked.items()}}


def _differences(run: RunFolder) -> list[Difference]:
    if run.zero_shot is None or run.is_zero_shot:
        return []
    return [accuracy.difference(run.method, run.predictions, accuracy.ZERO_SHOT, run.zero_shot)]


def _no_difference(run: RunFolder) -> str:
    if run.is_zero_shot:
        return 'The model is zero-shot CLIP: nothing was learnt.'
    if run.results.get('zero_shot'):
        return (
            'There is no interval of the difference to zero-shot CLIP: what that said of each '
            'photo (zero_shot.npz) is not in the folder.'
        )
    return 'There is no zero-shot accuracy to compare with: this model has none.'


def _warnings(run: RunFolder, found, differences: list[Difference]) -> list[str]:
    warnings = accuracy.check_agreement(run, found)
    if run.cross_validated:
        warnings.append(
            'There were too few photos to hold some out: what follows is of the cross-validation '
            'by which the method was chosen, so the accuracy is a little too high.'
        )
    if run.fit and run.fit.test and run.fit.test.warning:
        warnings.append(run.fit.test.warning)
    elif differences and differences[0].low <= 0:
        warnings.append(
            f'{run.method} does not clearly beat zero-shot CLIP, which needs no training: use '
            'that, or see below what might help.'
        )
    return warnings


def _training_counts(run: RunFolder) -> dict[str, int] | None:
    if run.fit is not None:
        return {c.name: c.train for c in run.fit.data.classes}
    return training_counts(run.config)


def _summary(run, found, differences, ece: float) -> list[str]:
    own, right = found[0], int(run.predictions.correct().sum())
    lines = [
        f'{run.method} is right on {right} of {own.images} photos, {own.percent:.1f} % '
        f'(95 % interval {own.low:.1f} to {own.high:.1f}).'
    ]
    lines += [accuracy.verdict(d) for d in differences]
    other = accuracy.best_other(found)
    lines += [other] if other else []
    lines.append(
        f'Its probabilities are off by {100 * ece:.1f} points on average (expected calibration '
        'error).'
    )
    if run.fit is not None:
        lines.append(f'{run.fit.chosen.why.rstrip(".")}.')
    return lines


def _done(run: RunFolder, counts: dict[str, int] | None) -> list[Fact]:
    results, fit = run.results, run.fit
    clip = fit.clip.model_dump() if fit else results.get('clip') or {}
    shots = fit.shots if fit else results.get('shots')
    said: dict[str, Any] = {
        'Asked': fit.command if fit else None,
        'Data': fit.data.source if fit else results.get('benchmark'),
        'Classes': len(run.predictions.classes),
        'Training photos': sum(counts.values()) if counts else None,
        'Photos per class': shots,
        'Test photos': len(run.predictions.images),
        'Method': run.method,
        'Chosen because': fit.chosen.why if fit else None,
        'CLIP': ' '.join(str(clip[k]) for k in ('arch', 'fingerprint') if clip.get(k)),
        'Epochs': results.get('epochs'),
        'Training time': _seconds(results.get('train_seconds')),
        'Time in all': f'{_seconds(fit.budget.seconds)} of {fit.budget.minutes:g} min'
        if fit
        else None,
        'Seed': fit.seed if fit else results.get('seed'),
        'Finished': fit.finished if fit else results.get('finished'),
    }
    facts = [Fact(name=name, value=str(value)) for name, value in said.items() if value]
    return facts + [Fact(name='Note', value=note) for note in (fit.notes if fit else ())]


def _seconds(seconds: float | None) -> str | None:
    return None if seconds is None else f'{seconds:.1f} s'


def _data(run: RunFolder) -> list[Fact]:
    warnings = run.fit.data.warnings if run.fit else data_warnings(run.config)
    return [Fact(name=str(i), value=text) for i, text in enumerate(warnings, 1)]


def _used_for(run: RunFolder) -> list[Fact]:
    said = run.predictions.identity.get('used_for')
    if not isinstance(said, dict):
        return []
    return [
        Fact(name=text, value=_told(said[key]) or 'none')
        for key, text in USED_FOR.items()
        if key in said
    ]


def _told(value: Any) -> str:
    """Plain values as a line; long hashes are cut."""
    if isinstance(value, dict):
        return ', '.join(f'{k}: {_told(v)}' for k, v in value.items() if v is not None)
    return '' if value is None else str(value)[:12] if HASH.fullmatch(str(value)) else str(value)


def _commands(run: RunFolder) -> list[str]:
    """Shell commands that make and use the model again."""
    commands = [run.fit.command] if run.fit else []
    if run.config_file:
        seed = run.results.get('seed')
        config = shlex.quote(run.config_file)
        line = f'python tools/train.py {config} --work-dir {shlex.quote(run.folder + "_again")}'
        commands.append(line + ('' if seed is None else f' --seed {seed}'))
        if run.checkpoint:
            commands.append(f'python tools/test.py {config} {shlex.quote(run.checkpoint)}')
    if run.checkpoint:
        commands.append(f'python tools/predict.py {shlex.quote(run.checkpoint)} PHOTO...')
    return [spoken(line) for line in commands]


def _versions(run: RunFolder) -> list[Fact]:
    said = run.fit.versions if run.fit else run.results.get('versions') or {}
    facts = [Fact(name=name, value=str(value)) for name, value in said.items()]
    commit = (
        (run.fit.commit and run.fit.commit.model_dump()) if run.fit else run.results.get('commit')
    )
    if commit and commit.get('commit'):
        changed = ', with changes' if commit.get('dirty') else ''
        facts.append(Fact(name='commit', value=commit['commit'] + changed))
    digest = run.results.get('draw_hash')
    facts += [Fact(name='draw of the training photos', value=digest)] if digest else []
    facts.append(Fact(name='list of the test photos', value=run.predictions.digest))
    if run.config_file:
        facts.append(Fact(name='config', value=osp.basename(run.config_file)))
    return facts
