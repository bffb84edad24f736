"""From photos to a classifier: checked, compared, chosen, trained, tested."""

import os
import os.path as osp
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from mmdpt.evaluation.frozen_features import keep_rows
from mmdpt.evaluation.predictions import PREDICTIONS
from mmdpt.models.clip.load import keep_clip
from mmdpt.results.fit_schema import Fit
from mmdpt.utils.checks import check_least

from .budget import Budget
from .compose import texts
from .final import train_on_all
from .methods import known
from .runs import silence
from .screen import Screen
from .stages import Asked, begin, conclude, decide


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
    refit_all: bool = False,
    quiet: bool = False,
    command: str = 'mmdpt.fit(...)',
    start: float | None = None,
) -> Fit:
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
        refit_all (bool): Afterwards train the chosen method on all photos, held-out ones too, and
            write ``model_all.pth``. The figures are those of ``model.pth``. It takes the time of
            one more training, beyond ``minutes``.
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
    asked = Asked(
        photos, out, tuple(wanted), bool(methods), shots, seed, image_dir, minutes, command
    )
    screen = Screen(quiet)
    return go(asked, (arch, pretrained), prompts, budget, screen, config_file, refit_all)


def go(
    asked: Asked,
    clip: tuple[str | None, str | None],
    prompts: tuple[str, ...],
    budget: Budget,
    screen: Screen,
    config_file: str | None,
    refit_all: bool,
) -> Fit:
    """What :func:`fit` does, once it knows what was asked."""
    with ExitStack() as stack:
        stack.callback(screen.close)
        stack.enter_context(silence(osp.join(asked.out, 'fit.log')))
        stack.enter_context(keep_clip())
        stack.enter_context(keep_rows())
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        with as_it_was(asked.out):
            task = begin(asked, clip, prompts, budget, folder, screen)
        outcomes = task.compare()
        winner, decision = decide(outcomes, asked)
        found = conclude(task, outcomes, winner, decision, config_file)
        screen.working('report')
        written = report(found, clip[1])
        if refit_all:
            screen.working('training on all photos')
            written += train_on_all(winner, task.photos, task.folds.setting, asked.out)
    files = ', '.join(['model.pth', 'config.py', 'fit.json', *written])
    screen.say(f'Results: {asked.out} ({files}), {budget.spent():.0f} s in all')
    model = shlex.quote(osp.join(asked.out, 'model.pth'))
    screen.say(f'Classify photos: mmdpt predict {model} IMAGE...')
    return found


def report(found: Fit, pretrained: str | None) -> list[str]:
    """Write the report where there are predictions to report on; return its main file's name."""
    if not osp.exists(osp.join(found.folder, PREDICTIONS)):
        return []
    from mmdpt.report import write_report  # with it come matplotlib and jinja2

    weights = pretrained if pretrained and osp.isfile(pretrained) else None
    write_report(found.folder, pretrained=weights)
    return ['report.html']


@contextmanager
def as_it_was(folder: str) -> Iterator[None]:
    """Leave a new folder empty if what is begun in it fails, so that a second try finds it so."""
    try:
        yield
    except BaseException:
        for entry in os.scandir(folder):
            shutil.rmtree(entry) if entry.is_dir(follow_symlinks=False) else os.remove(entry)
        raise


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
