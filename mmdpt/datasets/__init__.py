"""Few-shot benchmarks: names, lists, draws, images."""
from .base import BaseFewShotDataset
from .benchmarks import BENCHMARKS, Benchmark, get_benchmark
from .digits import DigitsDataset
from .few_shot import FewShotDataset
from .samplers import FewShotBatchSampler
from .sampling import draw_hash, sample_few_shot, select_classes
from .split_files import Item, Split, check_classes, read_split
from .transforms import LoadPILImage, read_image

__all__ = [
    'BENCHMARKS', 'BaseFewShotDataset', 'Benchmark', 'DigitsDataset',
    'FewShotBatchSampler', 'FewShotDataset', 'Item', 'LoadPILImage', 'Split',
    'check_classes', 'draw_hash', 'get_benchmark', 'read_image', 'read_split',
    'sample_few_shot', 'select_classes'
]
