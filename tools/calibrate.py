"""As ``mmdpt calibrate``: see mmdpt/cli/calibrate.py."""

import sys

from mmdpt_command import door

main = door('calibrate')

if __name__ == '__main__':
    sys.exit(main())
