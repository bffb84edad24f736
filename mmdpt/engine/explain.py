"""One line, with a remedy, for errors that arise far below."""

import re
import signal
import threading
import time

import torch

MEMORY = re.compile(
    r"not enough memory|out of memory|can't allocate memory|cannot allocate memory|"
    'unable to allocate',
    re.IGNORECASE,
)
LEVERS = """
  smaller batches      train_dataloader.batch_size=8  test_dataloader.batch_size=25
  the same batch in    optim_wrapper.accumulative_counts=4 (with train_dataloader.batch_size
  several steps        divided by 4)
  half the memory      --amp, or model.precision=bf16
  many classes         model.text_checkpointing=True; with several GPUs model.shard_classes=True
  host memory          train_dataloader.num_workers=0  train_dataloader.dataset.cache_images=False
(the lines with "=" follow --cfg-options; --resume goes on with a training)"""


def explain(error):
    """str | None: What a user can do about an error; None if it is a bug of ours.

    Args:
        error (BaseException): MemoryError, or a RuntimeError of torch.
    """
    text = str(error)
    if (
        isinstance(error, (MemoryError, torch.OutOfMemoryError))
        or isinstance(error, RuntimeError)
        and MEMORY.search(text)
    ):
        return f'out of memory: {text.splitlines()[0] if text else "no more to be had"}{LEVERS}'
    killed = re.search(r'DataLoader worker \(pid\(?s?\)? ?([\d, ]+)\).*', text)
    if isinstance(error, RuntimeError) and killed:
        reason = _reason(f'{text} {error.__cause__}')
        return (
            f'the loading process {killed.group(1).strip()} died ({reason}). The '
            'system kills processes when memory runs out: try '
            '--cfg-options train_dataloader.num_workers=0 test_dataloader.num_workers=0, '
            'or fewer. --resume goes on with a training'
        )
    return None


def first_cause(error):
    """Exception: The death of a loading process that an error may follow from.

    PyTorch raises it from a signal handler, which may come after the broken
    connection has been noticed (before this waits for it, it is raised further:
    see mmdpt/cli). After that, another death is not told: it would break into
    the telling of this one.
    """
    broken = isinstance(error, (ConnectionError, EOFError))
    try:
        if broken:
            time.sleep(1)
        if broken or 'DataLoader worker' in str(error):
            _ignore_deaths()
    except RuntimeError as death:
        _ignore_deaths()
        return death
    return error


def _ignore_deaths():
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _reason(text):
    found = re.search(r'is killed by signal: ([^.]*)', text)
    return f'signal {found.group(1)}' if found else 'for an unknown reason'


def without_worker(text):
    """str: An error's own text, when a loading process has passed it on."""
    if not text.startswith('Caught '):
        return text
    lines = text.strip().splitlines()
    found = [i for i, line in enumerate(lines) if re.match(r'[\w.]+(Error|Exception): ', line)]
    return '\n'.join(lines[found[-1] :]).split(': ', 1)[1] if found else text
