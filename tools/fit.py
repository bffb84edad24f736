"""As ``mmdpt fit``: see mmdpt/cli/fit.py."""

import sys

from mmdpt_command import door

main = door('fit')

if __name__ == '__main__':
    sys.exit(main())
