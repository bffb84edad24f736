"""As ``mmdpt reproduce``: see mmdpt/cli/reproduce.py."""

import sys

from mmdpt_command import door

main = door('reproduce')

if __name__ == '__main__':
    sys.exit(main())
