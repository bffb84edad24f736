"""As ``mmdpt plot_few_shot``: see mmdpt/cli/plot_few_shot.py."""

import importlib.util
import sys

if 'mmdpt' not in sys.modules:
    # Without running mmdpt/__init__.py: it imports torch and MMPretrain, which
    # takes longer than this command, and they are not needed.
    sys.modules['mmdpt'] = importlib.util.module_from_spec(importlib.util.find_spec('mmdpt'))

from mmdpt.cli.plot_few_shot import main

if __name__ == '__main__':
    main()
