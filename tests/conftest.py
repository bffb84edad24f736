"""Settings of the whole test run."""
import os

# as in tools/train.py, before torch is imported
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
