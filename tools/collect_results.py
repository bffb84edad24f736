"""As ``mmdpt collect_results``: see mmdpt/cli/collect_results.py."""

import sys

from mmdpt_command import door

main = door('collect_results')

if __name__ == '__main__':
    sys.exit(main())
