"""The stages of ``mmdpt fit``: a look at the photos, the comparison, the choice, the end."""

import os
import os.path as osp
from dataclasses import dataclass, replace

import torch

from mmdpt.datasets.split_files import Split
from mmdpt.engine.provenance import now, package_commit, versions
from mmdpt.results import fit_schema as schema
from mmdpt.utils.files import write_text

from .budget import Budget
from .choice import Decision, choose
from .clip_choice import choose_clip
from .compare import ALONE_WHY, Folds, Outcome, compare
from .compose import Setting, compose
from .curve import learning_curve
from .features import ZeroShot, prepare
from .final import SPLIT, train_winner
from .hub_data import export, is_hub_data
from .methods import METHODS
from .photos import Photos, deal, read_photos, thinned, write_split
from .repeat import settle
from .runs import write_config
from .screen import Screen


@dataclass(frozen=True)
class Asked:
    """What was asked for: the arguments of :func:`mmdpt.fit`; ``named``: whether methods were."""

    photos: str
    out: str
    wanted: tuple[str, ...]
    named: bool
    shots: int | None
    seed: int
    image_dir: str
    minutes: float
    command: str


@dataclass(frozen=True)
class Task:
    """Photos that were looked at, and all that a comparison needs."""

    asked: Asked
    photos: Photos
    folds: Folds
    zero: ZeroShot
    screen: Screen

    def compare(self) -> list[Outcome]:
        """Cross-validate the methods, see :func:`compare` and :func:`settle`."""
        asked = self.asked
        found = compare(asked.wanted, self.folds, self.photos, self.zero, self.screen, asked.named)
        settle(
            [o for o in found if o.tried.name in asked.wanted], self.folds, self.photos, self.screen
        )
        return found


def begin(
    asked: Asked,
    clip: tuple[str | None, str | None],
    prompts: tuple[str, ...],
    budget: Budget,
    folder: str,
    screen: Screen,
) -> Task:
    """Read the photos, find CLIP, compute features.

    Args:
        asked (Asked): What was asked for.
        clip (tuple): Architecture and weights, where they were named.
        prompts (tuple[str]): The templates.
        budget (Budget): The time.
        folder (str): For what is not kept.
        screen (Screen): Gets the first lines.
    """
    source = asked.photos
    if is_hub_data(source):
        source = export(source, osp.join(asked.out, 'photos'))
    photos = read_photos(source, asked.seed, asked.shots, asked.image_dir)
    photos, gpu = replace(photos, source=asked.photos), torch.cuda.is_available()
    arch, pretrained = choose_clip(*clip)
    workers = min(4, os.cpu_count() or 1) if gpu else 0
    setting = Setting(arch, pretrained, prompts, photos.folder, asked.seed, workers)
    screen.photos(photos, len(deal(photos.train, asked.seed)))
    screen.heading(f'{arch} {pretrained}', 'the GPU' if gpu else 'the CPU', asked.minutes)
    photos, zero = look(photos, setting, budget, folder, asked.out, screen)
    folds = Folds(deal(photos.train, asked.seed), setting, budget, folder)
    return Task(asked, photos, folds, zero, screen)


def look(
    photos: Photos, setting: Setting, budget: Budget, folder: str, out: str, screen: Screen
) -> tuple[Photos, ZeroShot]:
    """Test zero-shot CLIP; go on with a part of the photos where the time is too short for all."""
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


def decide(outcomes: list[Outcome], asked: Asked) -> tuple[Outcome, Decision]:
    """The winner.

    Raises:
        ValueError: If none of the methods that were asked for fits into the time.
    """
    by_name = {outcome.tried.name: outcome for outcome in outcomes}
    titles = {name: METHODS[name].title for name in by_name}
    right = {n: o.right for n, o in by_name.items() if o.right is not None and n in asked.wanted}
    if right:
        decision = choose(right, titles)
        if len(asked.wanted) == 1:
            decision = Decision(decision.name, 'It was asked for')
        return by_name[decision.name], decision
    if outcomes[0].tried.left_out == ALONE_WHY:
        return outcomes[0], Decision(outcomes[0].tried.name, ALONE_WHY)
    reasons = [f'{o.tried.title}: {o.tried.left_out}' for o in outcomes if o.tried.left_out]
    raise ValueError(f'no method fits into the time: {"; ".join(reasons)}')


def conclude(
    task: Task,
    outcomes: list[Outcome],
    winner: Outcome,
    decision: Decision,
    config_file: str | None,
) -> schema.Fit:
    """Train and test the winner, draw the curve, write ``fit.json``."""
    asked, screen, tested = task.asked, task.screen, bool(task.photos.test)
    setting, budget = task.folds.setting, task.folds.budget
    tried, method = winner.tried, METHODS[decision.name]
    chosen = schema.Chosen(
        name=tried.name, title=tried.title, settings=tried.settings, why=decision.why
    )
    screen.chosen(chosen, [outcome.tried for outcome in outcomes])
    screen.working(f'training {chosen.title} on all')
    test = train_winner(winner, setting, asked.out, tested)
    if test:
        screen.tested(test)
    if config_file:
        split = osp.join(asked.out, SPLIT)
        write_text(compose(method, setting, split, tried.settings, tested), config_file)
    found = schema.Fit(
        command=asked.command,
        data=_described(task.photos, len(task.folds.splits)),
        clip=schema.Clip(arch=setting.arch, fingerprint=task.zero.clip['fingerprint']),
        templates=list(setting.templates),
        seed=asked.seed,
        shots=asked.shots,
        methods=[outcome.tried for outcome in outcomes],
        chosen=chosen,
        test=test,
        curve=draw_curve(winner, outcomes, task.folds, asked.seed, screen),
        budget=schema.Budget(minutes=float(asked.minutes), seconds=budget.spent()),
        versions=versions(),
        commit=package_commit(),
        finished=now(),
        folder=osp.abspath(asked.out),
    )
    write_text(found.model_dump_json(indent=1), osp.join(asked.out, schema.FILE))
    return found


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
