"""As ``mmdpt verify``: see mmdpt/cli/verify.py."""

import sys

from mmdpt_command import door

main = door('verify')

if __name__ == '__main__':
    sys.exit(main())
