"""As ``mmdpt predict``: see mmdpt/cli/predict.py."""

import sys

from mmdpt_command import door

main = door('predict')

if __name__ == '__main__':
    sys.exit(main())
