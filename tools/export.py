"""As ``mmdpt export``: see mmdpt/cli/export.py."""

import sys

from mmdpt_command import door

main = door('export')

if __name__ == '__main__':
    sys.exit(main())
