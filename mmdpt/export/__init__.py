"""A trained model as one file that needs no mmdpt: torch.export and ONNX."""

from .check import ExportError
from .classifier import ExportedClassifier
from .files import FORMATS, export
from .load import load_for_export
from .timing import latency

__all__ = ['FORMATS', 'ExportError', 'ExportedClassifier', 'export', 'latency', 'load_for_export']
