"""As ``mmdpt collect_results``: see mmdpt/cli/collect_results.py."""

import importlib.util
import sys

if 'mmdpt' not in sys.modules:
    # Without running mmdpt/__init__.py: it imports torch and MMPretrain, which
    # takes longer than this command, and they are not needed.
    sys.modules['mmdpt'] = importlib.util.module_from_spec(importlib.util.find_spec('mmdpt'))

from mmdpt.cli.collect_results import main

if __name__ == '__main__':
    main()
