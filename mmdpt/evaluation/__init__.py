"""What MMPretrain's evaluation lacks."""
from .baselines import (LinearProbe, accuracy, fit_logistic, pixel_features,
                        search_linear_probe, stored_images)

__all__ = [
    'LinearProbe', 'accuracy', 'fit_logistic', 'pixel_features',
    'search_linear_probe', 'stored_images'
]
