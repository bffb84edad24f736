"""The command ``mmdpt``, and its doors in ``tools/``; what it can do is in mmdpt/cli.

A module of its own, since importing anything of mmdpt imports torch and
MMPretrain, for which neither ``--help`` nor tables of results should wait.
"""

import gc
import importlib.util
import os
import sys
from collections.abc import Callable


def main() -> int | None:
    """Run ``mmdpt COMMAND ARGUMENTS``."""
    prepare()
    from mmdpt.cli import main as command

    return command()


def door(name: str) -> Callable[..., int | None]:
    """The ``main()`` of tools/NAME.py: a command, with the arguments that Python was given."""

    def run(argv: list[str] | None = None) -> int | None:
        prepare()
        from mmdpt.cli import run as command

        return command(name, sys.argv[1:] if argv is None else argv)

    return run


def wait_briefly() -> None:
    """Let torch's idle threads spin for 10 microseconds, then sleep; before torch is imported.

    Spinning for milliseconds, as is usual, makes small models 15 times slower on a machine with
    other work; not at all, 1.4 times slower on a quiet one. What the user has set stays.
    """
    if 'OMP_WAIT_POLICY' not in os.environ:
        os.environ['OMP_WAIT_POLICY'] = 'PASSIVE'
        os.environ.setdefault('GOMP_SPINCOUNT', '1000')  # of GNU's OpenMP, in torch's wheels


def prepare() -> None:
    """Put an mmdpt in place whose __init__.py has not been run yet, unless there is one."""
    wait_briefly()
    if 'mmdpt' not in sys.modules:
        # A tenth of the start: looking for garbage among a million new objects, all of
        # which stay. mmdpt/cli switches it on again.
        gc.disable()
        sys.modules['mmdpt'] = importlib.util.module_from_spec(importlib.util.find_spec('mmdpt'))
