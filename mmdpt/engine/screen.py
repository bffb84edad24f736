"""What a training shows on the screen: what it is, how far it is, what came of it.

Everything else, such as config, environment and hooks, is in the log file alone.
"""

import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from torch import nn

from mmdpt.utils.text import visible
from mmdpt.utils.unwrap import unwrapped

OTHERS = ('mmengine', 'mmcv', 'mmpretrain')
# of MMEngine to its own code; nothing that a user could change
NOISE = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias')
# the same, of Python's kind; each of several processes would show them
WARNED = (r'Setting \w+_NUM_THREADS environment variable', '`broadcast_buffers` is deprecated')
LINES = 10  # that tell the progress where there is no terminal


class ScreenHandler(logging.Handler):
    """Show warnings, and what is not MMEngine's or MMPretrain's, without the time of day.

    Args:
        before (logging.Handler): The one whose place it takes; its level and filters stay.
    """

    def __init__(self, before: logging.Handler):
        super().__init__(before.level)
        self.filters = [*before.filters, worth_showing]
        self.console = Console(highlight=False)

    def emit(self, record: logging.LogRecord) -> None:
        """Show a message; above the progress bar, if there is one."""
        mark = f'{record.levelname.lower()}: ' if record.levelno > logging.INFO else ''
        for line in f'{mark}{record.getMessage()}'.split('\n'):
            self.console.out(visible(line))


def worth_showing(record: logging.LogRecord) -> bool:
    """Whether a message is for the screen."""
    if record.levelno > logging.INFO:
        return not record.getMessage().startswith(NOISE)
    return speaker().partition('.')[0] not in OTHERS


def speaker() -> str:
    """The module whose code has asked for the message that is being handled."""
    carriers = ('logging', 'mmengine.logging', __name__)  # print_log hides who called it
    return next((name for name in callers() if not name.startswith(carriers)), '')


def callers() -> Iterator[str]:
    """The modules of the functions that are running, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame.f_globals.get('__name__', '')
        frame = frame.f_back


def is_quiet(cfg: Config) -> bool:
    """Whether a config's logger hook leaves the log to the file."""
    return bool(((cfg.get('default_hooks') or {}).get('logger') or {}).get('quiet'))


def leave_log_to_file(cfg: Config, quiet: bool) -> None:
    """Say whether the screen shows the progress only; stock hooks of MMEngine show all."""
    hook = (cfg.get('default_hooks') or {}).get('logger') or {}
    if hook.get('type') == 'MainProcessLoggerHook':
        hook['quiet'] = quiet


def quieten(logger: logging.Logger) -> None:
    """Let a logger show on the screen what is worth showing; its file gets all, as before."""
    for handler in [h for h in logger.handlers if type(h) is logging.StreamHandler]:
        logger.removeHandler(handler)
        logger.addHandler(ScreenHandler(handler))


def hide_noise() -> None:
    """Ignore MMEngine's warnings to its own code for the rest of the process."""
    for words in WARNED:
        warnings.filterwarnings('ignore', words)


class TrainingProgress:
    """Epochs, loss, accuracy and the time left: a bar on a terminal, else a few lines.

    Args:
        runner (Runner): Before its first epoch. Of several processes the first one's.
    """

    def __init__(self, runner: Runner):
        self.begin, self.end, self.start = runner.epoch, runner.max_epochs, time.monotonic()
        screens = (h.console for h in runner.logger.handlers if isinstance(h, ScreenHandler))
        self.console = next(screens, None) or Console(highlight=False)
        self.sums: dict[str, list] = {}
        self.bar: Progress | None = None
        self.task = TaskID(0)
        if sys.stdout.isatty():
            text = '{task.completed}/{task.total} epochs{task.fields[figures]}'
            # no thread that refreshes it: loading processes are forked from this one
            columns = BarColumn(), TextColumn(text), TimeRemainingColumn()
            self.bar = Progress(*columns, console=self.console, auto_refresh=False)
            self.bar.start()
            self.task = self.bar.add_task('', total=self.end, completed=self.begin, figures='')

    def add(self, outputs: dict | None) -> None:
        """Take in the figures of an iteration, without waiting for the GPU."""
        for name, value in (outputs or {}).items():
            if name == 'loss' or name.startswith('accuracy'):
                self.sums.setdefault(name.partition('_')[0], []).append(torch.as_tensor(value))

    def show(self, epoch: int) -> None:
        """Tell that so many epochs are complete."""
        means = {
            k: torch.stack([v.float().mean() for v in vs]).mean() for k, vs in self.sums.items()
        }
        figures = ''.join(
            f'  loss {mean:.4f}' if name == 'loss' else f'  training accuracy {mean:.1f} %'
            for name, mean in means.items()
        )
        self.sums = {}
        if self.bar is not None:
            self.bar.update(self.task, completed=epoch, figures=figures, refresh=True)
        elif self._is_time(epoch):
            left = (time.monotonic() - self.start) / (epoch - self.begin) * (self.end - epoch)
            minutes, seconds = divmod(round(left), 60)
            width = len(str(self.end))
            self.console.out(
                f'epoch {epoch:{width}}/{self.end}{figures}  {minutes}:{seconds:02} left'
            )

    def _is_time(self, epoch: int) -> bool:
        share = LINES * (epoch - self.begin) // (self.end - self.begin)
        before = LINES * (epoch - 1 - self.begin) // (self.end - self.begin)
        return share > before or epoch == self.begin + 1

    def close(self) -> None:
        """Leave the bar as it is; what comes next begins below it."""
        if self.bar is not None:
            self.bar.stop()


def introduce(runner: Runner) -> None:
    """Say what is trained on which data, and where the details are."""
    learnt = sum(p.numel() for p in unwrapped(runner.model).parameters() if p.requires_grad)
    train, test = runner.train_dataloader.dataset, getattr(runner.test_loop, 'dataloader', None)
    about = getattr(train, 'metainfo', {})
    shots = f', {about["shots"]} shots' if about.get('shots') else ''
    tested = f', {len(test.dataset)} for testing' if test is not None else ''
    runner.logger.info(
        f'Training {learnt:,} values for {runner.max_epochs} epochs on {device_of(runner.model)}\n'
        f'Data: {about.get("benchmark") or type(train).__name__}{shots}, seed {runner.seed}: '
        f'{len(train)} images of {len(about.get("classes") or ())} classes{tested}\n'
        f'Details: {runner.logger.log_file} (--verbose shows them here)'
    )


def device_of(model: nn.Module) -> str:
    """The device that a model is on, as people call it."""
    device = next(model.parameters()).device
    return 'the CPU' if device.type == 'cpu' else str(device)


def measure_accuracy(model: nn.Module) -> None:
    """Let a head of ours tell the accuracy on each batch; the training stays the same.

    Not where labels are mixed (mixup, cutmix): then no image has one label.
    """
    head = getattr(model, 'head', None)
    mixed = getattr(getattr(model, 'data_preprocessor', None), 'batch_augments', None)
    if head is not None and hasattr(head, 'batch_accuracy') and mixed is None:
        head.cal_acc = True


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Let nothing reach standard error, of this process or of one that it starts meanwhile."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
