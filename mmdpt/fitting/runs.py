"""One training of a composed config, in this process, without a word on the screen."""

import logging
import os
import os.path as osp
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from mmdpt.engine.cli import build_runner
from mmdpt.evaluation.predictions import PREDICTIONS, ZERO_SHOT, Predictions
from mmdpt.utils.files import write_text

from .budget import OutOfTime, predicted

UNSAVED = dict(type='CheckpointHook', interval=-1, save_last=False)


class Run(NamedTuple):
    """What came of a training.

    Attributes:
        learnt: Predictions of the learnt model on the test list.
        zero_shot: Those of the frozen model.
        seconds: That it took, with building, test and all.
    """

    learnt: Predictions
    zero_shot: Predictions
    seconds: float


class WatchHook(Hook):
    """Give up a training as soon as its first steps say that it would take too long.

    Args:
        start (float): What the clock showed when it was begun.
        longest (float): Seconds, from then on.
    """

    def __init__(self, start: float, longest: float):
        self.start, self.longest, self.first = start, longest, 0.0

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Predict; the first step, which warms up, does not count."""
        now, done = time.monotonic(), runner.iter
        if done < 1:
            self.first = now
            return
        steps = predicted(now - self.first, done, runner.max_iters - 1)
        total = self.first - self.start + steps
        if total > self.longest:
            raise OutOfTime(total)


def write_config(text: str, folder: str) -> str:
    """Write a config file into a folder; return its path."""
    os.makedirs(folder, exist_ok=True)
    path = osp.join(folder, 'config.py')
    write_text(text, path)
    return path


def configured(config: str, work_dir: str, tidy: bool = False) -> Config:
    """A config file as a training inside this process takes it.

    Args:
        config (str): The file.
        work_dir (str): Where results go.
        tidy (bool): Lay out what the Runner leaves there, which takes some seconds.
    """
    read = Config.fromfile(config)
    cfg = Config(read.to_dict(), filename=read.filename, format_python_code=tidy)
    cfg.work_dir = work_dir
    cfg.default_hooks.logger.quiet = True
    return cfg


def run(config: str, work_dir: str, longest: float | None = None) -> Run:
    """Train, test, and read the predictions; no checkpoint is written.

    Args:
        config (str): The file.
        work_dir (str): Where results go.
        longest (float, optional): Seconds after which it is given up.

    Raises:
        OutOfTime: If it would take longer.
        ValueError: If the method does not suit these photos.
    """
    start = time.monotonic()
    cfg = configured(config, work_dir)
    cfg.default_hooks.checkpoint = dict(UNSAVED)
    runner = build_runner(cfg)
    if longest is not None:
        runner.register_hook(WatchHook(start, longest))
    try:
        runner.train()
    finally:
        for handler in [h for h in runner.logger.handlers if isinstance(h, logging.FileHandler)]:
            handler.close()  # a comparison has a hundred trainings
            runner.logger.removeHandler(handler)
    learnt, zero_shot = (
        Predictions.read(osp.join(work_dir, name)) for name in (PREDICTIONS, ZERO_SHOT)
    )
    return Run(learnt, zero_shot, time.monotonic() - start)


@contextmanager
def silence(log: str) -> Iterator[None]:
    """Send what libraries print to a file."""
    with open(log, 'a', encoding='utf-8') as file, warnings.catch_warnings():
        warnings.simplefilter('ignore')
        with redirect_stdout(file), redirect_stderr(file):
            try:
                yield
            finally:
                loggers = [MMLogger.get_current_instance(), *MMLogger._instance_dict.values()]
                for handler in [h for logger in loggers for h in logger.handlers]:
                    if getattr(handler, 'stream', None) is file:
                        handler.setStream(sys.__stdout__)  # goes on when the file is closed
