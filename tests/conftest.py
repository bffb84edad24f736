"""Settings of the whole test run."""

import os

# as in tools/train.py, before torch is imported
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
# several workers of pytest-xdist share the cores
if 'PYTEST_XDIST_WORKER' in os.environ:
    os.environ.setdefault('OMP_NUM_THREADS', '1')
