"""From photos to a classifier: checked, compared, chosen, trained, tested."""

import os
import os.path as osp
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import torch

from mmdpt.datasets.split_files import Split
from mmdpt.engine.provenance import now, package_commit, versions
from mmdpt.evaluation.frozen_features import keep_rows
from mmdpt.models.clip.load import keep_clip
from mmdpt.results import fit_schema as schema
from mmdpt.utils.checks import check_least
from mmdpt.utils.files import write_text

from .budget import Budget
from .choice import Decision, choose
from .clip_choice import choose_clip
from .compare import ALONE_WHY, Folds, Outcome, compare
from .compose import Setting, compose, texts
from .curve import learning_curve
from .features import ZeroShot, prepare
from .final import SPLIT, train_winner
from .hub_data import export, is_hub_data
from .methods import METHODS, known
from .photos import Photos, deal, read_photos, thinned, write_split
from .runs import silence, write_config
from .screen import Screen


def fit(
    photos: str,
    out: str | None = None,
    *,
    methods: Sequence[str] | None = None,
    shots: int | None = None,
    arch: str | None = None,
    pretrained: str | None = None,
    templates: Sequence[str] | None = None,
    minutes: float = 5.0,
    seed: int = 1,
    image_dir: str = '',
    config_file: str | None = None,
    quiet: bool = False,
    command: str = 'mmdpt.fit(...)',
    start: float | None = None,
) -> schema.Fit:
    """Make a classifier from photos, and say how far it can be trusted.

    A test part is held out. On the rest, methods are compared by cross-validation, as many as fit
    into the time; the simplest one that is within a standard error of the best (see
    :func:`mmdpt.fitting.choice.choose`) is trained on all of the rest and tested once.

    Args:
        photos (str): A folder with one subfolder per class; or with train/, test/ and perhaps
            val/; a CSV file; a split file (JSON); or a data set that Hugging Face's ``datasets``
            saved to disk.
        out (str, optional): Folder for the results, new or empty. Defaults to
            ``work_dirs/fit_NAME``.
        methods (Sequence[str], optional): Choose among these only. Defaults to all of
            :data:`mmdpt.fitting.methods.ALL`.
        shots (int, optional): At most so many training photos per class.
        arch, pretrained (str, optional): CLIP; see :func:`mmdpt.fitting.clip_choice.choose_clip`.
        templates (Sequence[str], optional): Prompts with one ``{}``.
        minutes (float): The time for all of it.
        seed (int): Of draws and trainings.
        image_dir (str): Where the paths of a CSV or split file start.
        config_file (str, optional): Write the config of the chosen method there, for
            ``mmdpt train``.
        quiet (bool): Print nothing.
        command (str): What ``fit.json`` says was asked.
        start (float, optional): ``time.monotonic()`` when the time began. Defaults to now.

    Returns:
        Fit: What ``fit.json`` says; ``frame()`` is a table of the methods.

    Raises:
        OSError: If something is missing, or there already.
        ValueError: If something is wrong with the photos or an argument, or nothing fits into the
            time.
    """
    budget = Budget(60 * minutes, time.monotonic() if start is None else start)
    check_least('seed', seed, 0)
    wanted, prompts = known(methods), texts(templates)
    out = new_folder(out or osp.join('work_dirs', f'fit_{_name(photos)}'))
    screen = Screen(quiet)
    with ExitStack() as stack:
        stack.callback(screen.close)
        stack.enter_context(silence(osp.join(out, 'fit.log')))
        stack.enter_context(keep_clip())
        stack.enter_context(keep_rows())
        source = export(photos, osp.join(out, 'photos')) if is_hub_data(photos) else photos
        data = replace(read_photos(source, seed, shots, image_dir), source=photos)
        clip = choose_clip(arch, pretrained)
        workers = min(4, os.cpu_count() or 1) if torch.cuda.is_available() else 0
        setting = Setting(*clip, prompts, data.folder, seed, workers)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        screen.photos(data, len(deal(data.train, seed)))
        screen.heading(
            ' '.join(clip), 'the GPU' if torch.cuda.is_available() else 'the CPU', minutes
        )
        data, zero = look(data, setting, budget, folder, out, screen)
        folds = Folds(deal(data.train, seed), setting, budget, folder)
        outcomes = compare(wanted, folds, data, zero, screen, bool(methods))
        winner, decision = decide(outcomes, wanted, bool(methods))
        chosen = schema.Chosen(
            name=decision.name,
            title=METHODS[decision.name].title,
            settings=winner.tried.settings,
            why=decision.why,
        )
        screen.chosen(chosen)
        screen.working(f'training {chosen.title} on all')
        tested = train_winner(winner, setting, out, bool(data.test))
        if tested:
            screen.tested(tested)
        method = METHODS[chosen.name]
        if config_file:
            text = compose(method, setting, osp.join(out, SPLIT), chosen.settings, bool(data.test))
            write_text(text, config_file)
        curve = draw_curve(winner, outcomes, folds, seed, screen)
        found = schema.Fit(
            command=command,
            data=_described(data, len(folds.splits)),
            clip=schema.Clip(arch=setting.arch, fingerprint=zero.clip['fingerprint']),
            templates=list(prompts),
            seed=seed,
            shots=shots,
            methods=[outcome.tried for outcome in outcomes],
            chosen=chosen,
            test=tested,
            curve=curve,
            budget=schema.Budget(minutes=float(minutes), seconds=budget.spent()),
            versions=versions(),
            commit=package_commit(),
            finished=now(),
            folder=osp.abspath(out),
        )
        write_text(found.model_dump_json(indent=1), osp.join(out, schema.FILE))
    screen.say(f'Results: {out} (model.pth, config.py, fit.json), {budget.spent():.0f} s in all')
    return found


def look(
    photos: Photos, setting: Setting, budget: Budget, folder: str, out: str, screen: Screen
) -> tuple[Photos, ZeroShot]:
    """Test zero-shot CLIP; where the time is too short for all photos, go on with a part of them."""
    zeroshot, split = METHODS['zeroshot'], osp.join(out, SPLIT)
    for last in (False, True):
        write_split(Split(photos.train, [], photos.test), split)
        text = compose(zeroshot, setting, split, {}, bool(photos.test))
        config = write_config(text, osp.join(folder, 'zeroshot'))
        count = len(photos.train)
        zero = prepare(
            config,
            osp.join(folder, 'zeroshot'),
            budget,
            len(photos.test),
            lambda done, total: screen.working('image features', done, total),
            whole=last,
        )
        if len(zero.right) == count:
            break
        part = zero.affordable / count
        photos = replace(
            photos,
            train=thinned(photos.train, part, setting.seed),
            test=thinned(photos.test, part, setting.seed) if photos.test else [],
        )
        note = (
            f'the time allows for {len(photos.train)} of {count} training photos and '
            f'{len(photos.test)} for the test (an image takes {zero.per_image:.2f} s); more '
            'minutes take more'
        )
        screen.say(f'note: {note}')
        photos = photos.warned(note)
    return photos, zero


def decide(outcomes: list[Outcome], wanted: Sequence[str], named: bool) -> tuple[Outcome, Decision]:
    """The winner.

    Raises:
        ValueError: If none of the methods that were asked for fits into the time.
    """
    by_name = {outcome.tried.name: outcome for outcome in outcomes}
    titles = {name: METHODS[name].title for name in by_name}
    right = {n: o.right for n, o in by_name.items() if o.right is not None and n in wanted}
    if right:
        decision = choose(right, titles)
        if named and len(wanted) == 1:
            decision = Decision(decision.name, 'It was asked for')
        return by_name[decision.name], decision
    if all(outcome.tried.left_out == ALONE_WHY for outcome in outcomes):
        return outcomes[0], Decision(outcomes[0].tried.name, ALONE_WHY)
    reasons = '; '.join(f'{o.tried.title}: {o.tried.left_out}' for o in outcomes if not o.runs)
    raise ValueError(f'no method fits into the time: {reasons}')


def draw_curve(
    winner: Outcome, outcomes: list[Outcome], folds: Folds, seed: int, screen: Screen
) -> schema.Curve | None:
    """The learning curve of the winner, or of GDA where the time is short."""
    candidates = [
        o for o in (winner, *outcomes) if o.runs and o.tried.name in (winner.tried.name, 'gda')
    ]
    if not candidates:
        return None
    curve = learning_curve(
        candidates, folds, seed, lambda done, total: screen.working('learning curve', done, total)
    )
    screen.curve(curve)
    return curve


def _described(photos: Photos, folds: int) -> schema.Data:
    counts = [
        schema.ClassCount(
            name=name,
            train=sum(item.label == label for item in photos.train),
            test=sum(item.label == label for item in photos.test),
        )
        for label, name in enumerate(photos.classes)
    ]
    return schema.Data(
        source=photos.source,
        classes=counts,
        held_out=photos.held_out,
        folds=folds,
        warnings=[text[:1000] for text in photos.warnings],
    )


def _name(path: str) -> str:
    return osp.splitext(osp.basename(osp.abspath(osp.expanduser(path))))[0] or 'photos'


def new_folder(folder: str) -> str:
    """Make a folder.

    Raises:
        OSError: If it holds something.
    """
    if osp.lexists(folder) and not osp.isdir(folder):
        raise NotADirectoryError(f'cannot write into {folder}: it is a file')
    if osp.isdir(folder) and os.listdir(folder):
        raise FileExistsError(f'{folder} is there already and not empty: choose another --out')
    os.makedirs(folder, exist_ok=True)
    return folder
