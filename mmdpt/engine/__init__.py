"""What MMEngine's training lacks: schedule, checkpoints, hooks, report."""

from .aggregation import GaussianAggregationHook, gaussian_weights
from .checkpoint import CheckpointError, for_runner, latest_checkpoint, read_checkpoint
from .checkpoint_hook import AtomicBackend, PromptCheckpointHook
from .class_check import CheckClassesHook
from .compiled import compile_step
from .deferred import LoggedInfoHook
from .device_images import DeviceImagesHook
from .ema import LearntEMA
from .feature_loop import FrozenFeatureTestLoop
from .feature_training import FeatureTrainLoop
from .hooks import EpochSeedHook, MainProcessLoggerHook, MeanLossHook, StopOnNaNHook
from .kept_states import KeptStatesTrainLoop
from .kept_teacher import KeptTeacherHook
from .optim import PromptOptimWrapperConstructor
from .prograd import ProGradOptimWrapper
from .rank_check import SameTrainingHook
from .report import FewShotReportHook
from .runner import FewShotRunner
from .schedule import ConstantWarmupCosineLR, constant_warmup_cosine
from .stages import StagedTrainLoop
from .transductive_loop import TransductiveTestLoop

__all__ = [
    'AtomicBackend',
    'CheckClassesHook',
    'CheckpointError',
    'ConstantWarmupCosineLR',
    'DeviceImagesHook',
    'EpochSeedHook',
    'FeatureTrainLoop',
    'FewShotReportHook',
    'FewShotRunner',
    'FrozenFeatureTestLoop',
    'GaussianAggregationHook',
    'KeptStatesTrainLoop',
    'LearntEMA',
    'KeptTeacherHook',
    'LoggedInfoHook',
    'MainProcessLoggerHook',
    'MeanLossHook',
    'ProGradOptimWrapper',
    'PromptCheckpointHook',
    'PromptOptimWrapperConstructor',
    'SameTrainingHook',
    'StagedTrainLoop',
    'StopOnNaNHook',
    'TransductiveTestLoop',
    'compile_step',
    'constant_warmup_cosine',
    'gaussian_weights',
    'for_runner',
    'latest_checkpoint',
    'read_checkpoint',
]
