"""As ``mmdpt test_protocol``: see mmdpt/cli/test_protocol.py."""

import sys

from mmdpt_command import door

main = door('test_protocol')

if __name__ == '__main__':
    sys.exit(main())
