"""Run a suite: each part in a process of its own, results on the disk after each row."""

import dataclasses
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

import torch

from mmdpt.utils.files import write_json, write_text

from .parts import SUITES
from .report import markdown, summary
from .setting import Part, Setting

GRACE = 45.0  # seconds that the last row of a part may take beyond its time
FIRST = 'machine'


def run_suite(
    suite: str,
    setting: Setting,
    minutes: float,
    json_path: str,
    markdown_path: str,
    only: Sequence[str] | None = None,
) -> dict:
    """Run the parts of a suite, in order, as far as the time reaches.

    Args:
        suite (str): A key of ``SUITES``.
        setting (Setting): What all parts are told.
        minutes (float): For all parts together; those that it does not reach are named.
        json_path (str): Written after each row.
        markdown_path (str): The same, to be read.
        only (Sequence[str], optional): Only these parts (and the machine's name).

    Returns:
        dict: ``suite``, ``setting``, ``status`` ('passed', 'failed'), ``seconds``, ``parts``: by
        name ``status`` ('passed', 'failed', 'too slow', 'not run'), ``seconds``, ``rows`` and perhaps
        ``reason``.
    """
    began = time.monotonic()
    parts = {
        name: dict(status='not run', reason='not reached', seconds=0.0, rows=[])
        for name in SUITES[suite]
    }
    told = {k: v for k, v in dataclasses.asdict(setting).items() if k != 'deadline'}
    result = dict(
        suite=suite, setting=told, minutes=minutes, status='running', seconds=0.0, parts=parts
    )

    def write() -> None:
        result['seconds'] = round(time.monotonic() - began, 1)
        write_json(result, json_path, indent=1)
        write_text(markdown(result), markdown_path)

    for name, part in SUITES[suite].items():
        left = began + 60 * minutes - time.monotonic()
        reason = _why_not(name, part, setting, left, parts, only)
        if reason:
            parts[name]['reason'] = reason if left > 0 else f'the {minutes:g} minutes were spent'
        else:
            parts[name] = dict(status='running', seconds=0.0, rows=[])
            seconds = left if setting.small else min(part.seconds, left)
            run_part(suite, name, setting, seconds, parts[name], write)
        print(summary(name, parts[name]), flush=True)
        write()
    bad = [name for name, found in parts.items() if found['status'] in ('failed', 'too slow')]
    result['status'] = 'failed' if bad else 'passed'
    write()
    print(f'{result["status"]}: {", ".join(bad) or "all that ran"}; {json_path}, {markdown_path}')
    return result


def _why_not(
    name: str, part: Part, setting: Setting, left: float, parts: dict, only: Sequence[str] | None
) -> str | None:
    if name == FIRST:
        return None
    if only and name not in only:
        return 'not asked for (--only)'
    if parts[FIRST]['status'] != 'passed':
        return f'the part "{FIRST}" failed'
    if part.only_cuda and not setting.cuda:
        return 'needs CUDA'
    if part.covered and setting.small:
        return f'in the small form, "{part.covered}" stands for it'
    return 'no time left' if left <= 0 else None


def run_part(
    suite: str,
    name: str,
    setting: Setting,
    seconds: float,
    found: dict,
    write: Callable[[], None] = lambda: None,
    start: str | None = None,
) -> None:
    """Run one part in a process of its own and fill in ``found``.

    An error on a GPU may leave its process without a working device, and a crash or a hang
    without an answer: neither reaches the next part.

    Args:
        suite (str): A key of ``SUITES``.
        name (str): The part.
        setting (Setting): Without a deadline.
        seconds (float): After which the part begins nothing new; it is killed some time later.
        found (dict): ``status``, ``seconds`` and ``rows`` are filled in as they come.
        write (Callable): Called after each row.
        start (str, optional): Of the process: by default 'spawn' for CUDA, which does not
            survive a fork, else 'fork', which imports nothing anew.
    """
    began = time.monotonic()
    context = multiprocessing.get_context(start or ('spawn' if setting.cuda else 'fork'))
    ours, theirs = context.Pipe(duplex=False)
    timed = dataclasses.replace(setting, deadline=began + seconds)
    process = context.Process(target=_work, args=(suite, name, timed, theirs))
    process.start()
    theirs.close()
    try:
        found.update(_listen(ours, found, began + seconds + GRACE, write))
    except EOFError:
        process.join()
        found.update(status='failed', reason=f'the process ended with status {process.exitcode}')
    finally:
        process.kill()
        process.join()
        found['seconds'] = round(time.monotonic() - began, 1)


def _listen(ours: Connection, found: dict, end: float, write: Callable[[], None]) -> dict:
    """Collect a part's rows until it ends; its status."""
    while ours.poll(max(end - time.monotonic(), 0)):
        message = ours.recv()
        if 'row' in message:
            found['rows'].append(message['row'])
            write()
        elif 'reason' in message:
            return dict(message, status='failed')
        else:
            bad = [r for r in found['rows'] if 'error' in r or r.get('passed') is False]
            return dict(status='failed' if bad else 'passed')
    return dict(status='too slow', reason='it did not end in its time, and was ended')


def _work(suite: str, name: str, setting: Setting, pipe: Connection) -> None:
    """In the part's process."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if not setting.cuda:  # for what chooses its device by itself, as trainings do
        os.environ['CUDA_VISIBLE_DEVICES'] = ''
    if setting.threads:
        torch.set_num_threads(setting.threads)
    try:
        if ':' in setting.device:
            torch.cuda.set_device(setting.device)
        for row in SUITES[suite][name].run(setting):
            pipe.send(dict(row=row))
        pipe.send({})
    except Exception as error:
        traceback.print_exc()
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f'{type(error).__name__}: {str(error)[:500]} ({where.filename}:{where.lineno})'
        pipe.send(dict(reason=text))
