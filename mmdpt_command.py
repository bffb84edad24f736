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


def prepare() -> None:
    """Put an mmdpt in place whose __init__.py has not been run yet, unless there is one."""
    # Waiting threads must not spin: on a machine with other work that makes small
    # models 15 times slower. To be set before torch is imported.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    if 'mmdpt' not in sys.modules:
        # A tenth of the start: looking for garbage among a million new objects, all of
        # which stay. mmdpt/cli switches it on again.
        gc.disable()
        sys.modules['mmdpt'] = importlib.util.module_from_spec(importlib.util.find_spec('mmdpt'))
