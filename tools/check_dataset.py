"""As ``mmdpt check_dataset``: see mmdpt/cli/check_dataset.py."""

import sys

from mmdpt_command import door

main = door('check_dataset')

if __name__ == '__main__':
    sys.exit(main())
