"""The command ``mmdpt``; what it can do is in mmdpt/cli.

A module of its own, since importing anything of mmdpt imports torch and
MMPretrain, for which neither ``mmdpt --help`` nor tables of results should wait.
"""

import importlib.util
import os
import sys


def main() -> int | None:
    """Runs ``mmdpt.cli.main``, with an mmdpt whose __init__.py has not been run yet."""
    # Waiting threads must not spin: on a machine with other work that makes small
    # models 15 times slower. To be set before torch is imported.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    if 'mmdpt' not in sys.modules:
        sys.modules['mmdpt'] = importlib.util.module_from_spec(importlib.util.find_spec('mmdpt'))
    from mmdpt.cli import main as run

    return run()
