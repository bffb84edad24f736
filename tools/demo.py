"""As ``mmdpt demo``: see mmdpt/cli/demo.py."""

import sys

from mmdpt_command import door

main = door('demo')

if __name__ == '__main__':
    sys.exit(main())
