"""As ``mmdpt sweep``: see mmdpt/cli/sweep.py."""

import sys

from mmdpt_command import door

main = door('sweep')

if __name__ == '__main__':
    sys.exit(main())
