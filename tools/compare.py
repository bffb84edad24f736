"""As ``mmdpt compare``: see mmdpt/cli/compare.py."""

import sys

from mmdpt_command import door

main = door('compare')

if __name__ == '__main__':
    sys.exit(main())
