"""Few-shot benchmarks: names, lists, draws, images."""

from . import imagenet, own_data, split_layouts  # noqa: F401  register layouts
from .base import BaseFewShotDataset
from .benchmarks import BENCHMARKS, Benchmark, get_benchmark, repeated
from .descriptions import as_benchmark, own_benchmark
from .digits import DigitsDataset
from .few_shot import FewShotDataset
from .layouts import get_layout, resolve_classes
from .samplers import FewShotBatchSampler
from .sampling import draw_hash, sample_few_shot, select_classes
from .shared import innermost, share_dataset
from .single_class import SingleClassBatchSampler
from .split_files import Item, Split, check_classes, check_paths, read_split
from .transforms import LoadPILImage, read_image

__all__ = [
    'BENCHMARKS',
    'BaseFewShotDataset',
    'Benchmark',
    'DigitsDataset',
    'FewShotBatchSampler',
    'FewShotDataset',
    'Item',
    'LoadPILImage',
    'SingleClassBatchSampler',
    'Split',
    'as_benchmark',
    'check_classes',
    'check_paths',
    'draw_hash',
    'get_benchmark',
    'get_layout',
    'innermost',
    'own_benchmark',
    'read_image',
    'read_split',
    'repeated',
    'resolve_classes',
    'sample_few_shot',
    'select_classes',
    'share_dataset',
]
