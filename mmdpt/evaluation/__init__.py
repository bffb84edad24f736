"""What MMPretrain's evaluation lacks."""

from .baselines import (
    LinearProbe,
    accuracy,
    fit_logistic,
    pixel_features,
    search_linear_probe,
    stored_images,
)
from .evaluator_metrics import CalibrationMetric, OODMetric
from .frozen_features import frozen_features

__all__ = [
    'CalibrationMetric',
    'LinearProbe',
    'OODMetric',
    'accuracy',
    'fit_logistic',
    'frozen_features',
    'pixel_features',
    'search_linear_probe',
    'stored_images',
]
