"""What MMEngine's training lacks: schedule, checkpoints, hooks, report."""

from .aggregation import GaussianAggregationHook, gaussian_weights
from .checkpoint import CheckpointError, latest_checkpoint, read_checkpoint
from .checkpoint_hook import AtomicBackend, PromptCheckpointHook
from .class_check import CheckClassesHook
from .ema import LearntEMA
from .feature_loop import FrozenFeatureTestLoop
from .hooks import EpochSeedHook, MainProcessLoggerHook, MeanLossHook, StopOnNaNHook
from .kept_states import KeptStatesTrainLoop
from .linear_probe import LinearProbeHook
from .optim import PromptOptimWrapperConstructor
from .prograd import ProGradOptimWrapper
from .rank_check import SameTrainingHook
from .report import FewShotReportHook
from .runner import FewShotRunner
from .schedule import ConstantWarmupCosineLR, constant_warmup_cosine
from .stages import StagedTrainLoop
from .tip_adapter import CacheTrainLoop, TipAdapterHook
from .transductive_loop import TransductiveTestLoop

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
    'KeptStatesTrainLoop',
    'LearntEMA',
    'LinearProbeHook',
    'MainProcessLoggerHook',
    'MeanLossHook',
    'ProGradOptimWrapper',
    'PromptCheckpointHook',
    'PromptOptimWrapperConstructor',
    'SameTrainingHook',
    'StagedTrainLoop',
    'StopOnNaNHook',
    'TipAdapterHook',
    'TransductiveTestLoop',
    'constant_warmup_cosine',
    'gaussian_weights',
    'latest_checkpoint',
    'read_checkpoint',
]
