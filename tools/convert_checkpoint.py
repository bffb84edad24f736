"""As ``mmdpt convert_checkpoint``: see mmdpt/cli/convert_checkpoint.py."""

import sys

from mmdpt_command import door

main = door('convert_checkpoint')

if __name__ == '__main__':
    sys.exit(main())
