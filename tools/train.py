"""As ``mmdpt train``: see mmdpt/cli/train.py."""

import sys

from mmdpt_command import door

main = door('train')

if __name__ == '__main__':
    sys.exit(main())
