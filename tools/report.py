"""As ``mmdpt report``: see mmdpt/cli/report.py."""

import sys

from mmdpt_command import door

main = door('report')

if __name__ == '__main__':
    sys.exit(main())
