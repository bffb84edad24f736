"""Many runs from one command: datasets x shots x seeds x methods x architectures.

``plan`` says which, ``check`` refuses impossible ones, ``state`` says what has
become of each, ``local`` and ``slurm`` start them through submitit, ``job`` is
one of them. tools/sweep.py is the command.
"""

from .compose import CONFIGS
from .shots import fewer_shots

__all__ = ['CONFIGS', 'fewer_shots']
