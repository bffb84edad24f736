"""As ``mmdpt few_shot``: see mmdpt/cli/few_shot.py."""

import sys

from mmdpt_command import door

main = door('few_shot')

if __name__ == '__main__':
    sys.exit(main())
