"""As ``mmdpt make_split``: see mmdpt/cli/make_split.py."""

import sys

from mmdpt_command import door

main = door('make_split')

if __name__ == '__main__':
    sys.exit(main())
