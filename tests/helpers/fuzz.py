"""Many cases from a seed, and what must never happen in any of them.

``MMDPT_FUZZ_COUNT`` cases of each test are tried (default 5), drawn from ``MMDPT_FUZZ_SEED``
(default 0). The same two numbers give the same cases.
"""

import json
import os
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mmdpt.utils.text import visible

SEED = int(os.environ.get('MMDPT_FUZZ_SEED', 0))
COUNT = int(os.environ.get('MMDPT_FUZZ_COUNT', 5))
SECONDS = 10
PACKAGE = f'{os.sep}mmdpt{os.sep}'
NEVER = {
    *('os.system', 'os.exec', 'os.posix_spawn', 'os.fork', 'os.forkpty', 'pty.spawn'),
    *('subprocess.Popen', 'os.remove', 'os.rmdir', 'os.truncate', 'os.mkdir', 'shutil.rmtree'),
    *('os.rename', 'os.link', 'os.symlink', 'os.chmod', 'socket.connect', 'urllib.Request'),
}
GIT = ('subprocess.Popen', 'git')  # a training notes its commit
told: Counter = Counter()  # what became of the cases of a test

_seen: list | None = None  # what the process has done, while it is watched


class Hang(BaseException):
    """A case that took too long."""


def fuzz(test: Callable) -> Callable:
    """Decorate a test that takes ``rnd``, a ``random.Random`` that differs from case to case."""
    hypothesis = pytest.importorskip('hypothesis', reason="pip install -e '.[dev]' has it")
    cases = hypothesis.settings(
        max_examples=COUNT,
        deadline=None,
        database=None,
        print_blob=True,
        phases=[hypothesis.Phase.generate],  # a smaller case would take minutes to find
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    randoms = hypothesis.strategies.randoms(use_true_random=True)
    given = hypothesis.given(rnd=randoms)(test)
    return pytest.mark.fuzz(hypothesis.seed(SEED)(cases(given)))


class Quiet(dict):
    """What a fixture gives, without a page of it in every failure."""

    def __repr__(self) -> str:
        return 'quiet'


def _listen(event: str, arguments: tuple) -> None:
    if _seen is None or (arguments and isinstance(arguments[0], int)):
        return  # a number stands for what was opened before
    if event in NEVER:
        _seen.append((event, *map(str, arguments[:1])))
    elif event == 'open':
        path, mode, flags = arguments
        writes = isinstance(mode, str) and set(mode) & set('wax+')
        writes = writes or (mode is None and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if writes and str(path) != os.devnull:
            _seen.append(('write', str(path)))


sys.addaudithook(_listen)


def files(folder: str = '.') -> dict[str, tuple[int, int]]:
    """Size and time of all files below a folder."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            stat = os.lstat(os.path.join(place, name))
            found[os.path.join(place, name)] = (stat.st_size, stat.st_mtime_ns)
    return found


def _inside(path: str, folder: str | None) -> bool:
    temporary = os.path.join(tempfile.gettempdir(), 'tmp')  # of its own, as MMEngine's configs
    path = os.path.abspath(path)
    return path.startswith(temporary) or folder is not None and path.startswith(folder)


@contextmanager
def watched(writes: str | None = None):
    """Allow no code, no lost or written file, no network, and ten seconds.

    Args:
        writes (str, optional): A folder whose files may be written and replaced.
    """
    global _seen

    def ring(*_):
        raise Hang(f'more than {SECONDS} s')

    before, former = files(), signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    _seen, place = [], writes and os.path.abspath(writes)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
        done, _seen = _seen, None
        wrong = [d for d in done if not _inside(d[-1], place) and d != GIT]
        assert not wrong, f'{wrong[:3]} in {os.getcwd()}'
        assert not Path('ran').exists()
        names = [n for n in {**before, **files()} if not _inside(n, place)]
        now = files()
        assert all(before.get(n) == now.get(n) for n in names), 'a file was changed or lost'


def ours(error: BaseException) -> str:
    """The one line that a user sees of a refusal; anything but a refusal is raised again."""
    text = visible(str(error))  # as the commands do
    foreign = isinstance(error, (UnicodeError, json.JSONDecodeError))
    frames = traceback.extract_tb(error.__traceback__)
    if foreign or PACKAGE not in frames[-1].filename or 'site-packages' in frames[-1].filename:
        raise error
    assert 20 <= len(text) <= 2000 and len(text.split()) > 4 and '\n' not in str(error), text[:3000]
    return text


def outcome(
    call: Callable[[], Any], writes: str | None = None, kinds: tuple = (ValueError, OSError)
) -> tuple[Any, str | None]:
    """What a call gives and None, or None and the line that it refuses with."""
    try:
        with watched(writes):
            result = call()
    except (*kinds, FloatingPointError) as error:
        line = ours(error)
        told['refused'] += 1
        return None, line
    told['accepted'] += 1
    return result, None
