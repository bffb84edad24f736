"""A trained model as one file that needs no mmdpt: torch.export and ONNX."""
from .classifier import ExportedClassifier
from .files import FORMATS, export
from .load import load_for_export

__all__ = ['FORMATS', 'ExportedClassifier', 'export', 'load_for_export']
