"""As ``mmdpt suggest``: see mmdpt/cli/suggest.py."""

import sys

from mmdpt_command import door

main = door('suggest')

if __name__ == '__main__':
    sys.exit(main())
