"""Few-shot benchmarks: names, lists, draws, images."""
from . import imagenet, split_layouts  # noqa: F401  register layouts
from .base import BaseFewShotDataset
from .benchmarks import BENCHMARKS, Benchmark, get_benchmark
from .digits import DigitsDataset
from .few_shot import FewShotDataset
from .hooks import CheckClassesHook
from .layouts import get_layout, repeated, resolve_classes
from .own_data import as_benchmark, own_benchmark
from .runner import FewShotRunner, share_dataset
from .samplers import FewShotBatchSampler
from .sampling import draw_hash, sample_few_shot, select_classes
from .split_files import (Item, Split, check_classes, check_paths, read_split)
from .transforms import LoadPILImage, read_image

__all__ = [
    'BENCHMARKS', 'BaseFewShotDataset', 'Benchmark', 'CheckClassesHook',
    'DigitsDataset', 'FewShotBatchSampler', 'FewShotDataset', 'FewShotRunner',
    'Item', 'LoadPILImage', 'Split', 'as_benchmark', 'check_classes',
    'check_paths', 'draw_hash', 'get_benchmark', 'get_layout',
    'own_benchmark', 'read_image', 'read_split', 'repeated',
    'resolve_classes', 'sample_few_shot', 'select_classes', 'share_dataset'
]
