"""What MMEngine's training lacks: schedule, checkpoints, hooks, report."""

from .aggregation import GaussianAggregationHook, gaussian_weights
from .checkpoint import CheckpointError, for_runner, latest_checkpoint, read_checkpoint
from .checkpoint_hook import AtomicBackend, PromptCheckpointHook
from .class_check import CheckClassesHook
from .ema import LearntEMA
from .feature_loop import FrozenFeatureTestLoop
from .hooks import EpochSeedHook, MainProcessLoggerHook, MeanLossHook, StopOnNaNHook
from .linear_probe import LinearProbeHook
from .optim import PromptOptimWrapperConstructor
from .prograd import ProGradOptimWrapper
from .rank_check import SameTrainingHook
from .report import FewShotReportHook
from .runner import FewShotRunner
from .schedule import ConstantWarmupCosineLR, constant_warmup_cosine
from .tip_adapter import CacheTrainLoop, TipAdapterHook

__all__ = [
    'AtomicBackend',
    'CacheTrainLoop',
    'CheckClassesHook',
    'CheckpointError',
    'ConstantWarmupCosineLR',
    'EpochSeedHook',
    'FewShotReportHook',
    'FewShotRunner',
    'FrozenFeatureTestLoop',
    'GaussianAggregationHook',
    'LearntEMA',
    'LinearProbeHook',
    'MainProcessLoggerHook',
    'MeanLossHook',
    'ProGradOptimWrapper',
    'PromptCheckpointHook',
    'PromptOptimWrapperConstructor',
    'SameTrainingHook',
    'StopOnNaNHook',
    'TipAdapterHook',
    'constant_warmup_cosine',
    'gaussian_weights',
    'for_runner',
    'latest_checkpoint',
    'read_checkpoint',
]
