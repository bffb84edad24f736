"""Ctrl-C and SIGTERM: stop in an orderly way, say how to resume."""

import os
import shlex
import signal
import sys
import threading
from contextlib import contextmanager

from .checkpoint_hook import PromptCheckpointHook
from .hooks import MainProcessLoggerHook


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a cluster's scheduler sends it before time runs out."""


class Stopped(BaseException):
    """A training that was stopped; its text says how to resume.

    Args:
        text (str): For the user.
        status (int): Exit status: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, text, status):
        super().__init__(text)
        self.status = status


@contextmanager
def stop_signals():
    """Let SIGINT and SIGTERM raise KeyboardInterrupt and :class:`Terminated`.

    The first signal raises, a second one ends the process at once (under
    torchrun, which passes Ctrl-C on a second time and kills what does not
    end within 30 seconds, it is ignored). Loading processes, which inherit
    the handlers, end at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()
    second = signal.SIG_IGN if 'TORCHELASTIC_RUN_ID' in os.environ else signal.SIG_DFL

    def stop(number, frame):
        if os.getpid() != owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        signal.signal(signal.SIGINT, second)
        signal.signal(signal.SIGTERM, second)
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def status_of(stop):
    """int: The exit status that shells expect after a KeyboardInterrupt."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


def train_or_stop(runner):
    """Train; if stopped, say where the last complete epoch is and how to go on.

    A checkpoint is always that of a whole epoch: only from there is a resumed
    training the same, bit for bit. What the broken epoch did is lost.

    Args:
        runner (Runner): With a ``PromptCheckpointHook``, or without.

    Raises:
        Stopped: After SIGINT or SIGTERM.
    """
    try:
        runner.train()
    except KeyboardInterrupt as stop:
        epoch = runner.epoch + 1
        hooks = [hook for hook in runner.hooks if isinstance(hook, PromptCheckpointHook)]
        path = hooks[0].last_ckpt if hooks else None
        if path is None:
            text = f'stopped in epoch {epoch}; no checkpoint was written yet. Start again with:'
        else:
            text = f'stopped in epoch {epoch}; what was complete is in {path}. Go on with:'
        raise Stopped(f'{text}\n  {same_command(path is not None)}', status_of(stop)) from stop
    finally:
        for hook in runner.hooks:
            if isinstance(hook, MainProcessLoggerHook):
                hook.close()


def same_command(resume):
    """str: The command line of this process, to start again or to resume."""
    arguments = list(sys.argv[1:])
    if resume:
        arguments = [*_without_resume(arguments), '--resume']
    program = sys.argv[0].split() if sys.argv[0].startswith('mmdpt ') else ['python', sys.argv[0]]
    return shlex.join([*program, *arguments])


def _without_resume(arguments):
    kept, skip = [], False
    for argument in arguments:
        if skip and not argument.startswith('-'):
            skip = False  # the checkpoint that --resume names
            continue
        skip = argument == '--resume'
        if not skip and not argument.startswith('--resume='):
            kept.append(argument)
    return kept
