"""As ``mmdpt test``: see mmdpt/cli/test.py."""

import sys

from mmdpt_command import door

main = door('test')

if __name__ == '__main__':
    sys.exit(main())
