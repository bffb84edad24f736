"""A local web page: drop a photo, see its class and what the model looks at."""

from .answers import answer, attend, classify, several
from .inputs import Limits, parse_names, read_photo
from .models import Models, checkpoint_choice, find_checkpoints, zero_shot_choice
from .page import build_page
from .server import is_loopback, launch

__all__ = [
    'Limits',
    'Models',
    'answer',
    'attend',
    'build_page',
    'checkpoint_choice',
    'classify',
    'find_checkpoints',
    'is_loopback',
    'launch',
    'parse_names',
    'read_photo',
    'several',
    'zero_shot_choice',
]
