"""Writing, reading back and checking the files."""

import json
import os
import os.path as osp
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager

import torch

from ..evaluation.calibration import Calibration
from .about import as_strings, describe
from .check import SIZES, check, largest_difference, sample_images
from .classifier import ExportedClassifier

FORMATS = dict(torch='.pt2', onnx='.onnx')
ABOUT = 'about.json'
ONNX_LIMIT = 2**31 - 2**20  # protobuf's, for one message; some room for the graph


def trace(
    classifier: ExportedClassifier, batch: str | int = 'dynamic'
) -> torch.export.ExportedProgram:
    """The classifier as a graph.

    Args:
        classifier (ExportedClassifier): What to trace.
        batch (str | int): 'dynamic', or the only batch size there will be.
    """
    dynamic = batch == 'dynamic'
    images = sample_images(2 if dynamic else batch, classifier.image_size)
    shapes = dict(image={0: torch.export.Dim('batch')}) if dynamic else None
    with torch.no_grad():
        return torch.export.export(classifier, (images,), dynamic_shapes=shapes)


def save_torch(program, path: str, about: dict, opset: int | None = None) -> None:
    """Write a ``.pt2`` file with the metadata as ``about.json``."""
    torch.export.save(
        program, path, extra_files={ABOUT: json.dumps(about, ensure_ascii=False, indent=1)}
    )


def load_torch(path: str, threads: int = 0) -> Callable:
    """A function from images to probabilities; threads are PyTorch's."""
    return torch.export.load(path).module()


def save_onnx(program, path: str, about: dict, opset: int | None = None) -> None:
    """Write an ``.onnx`` file with the metadata as JSON strings.

    Raises:
        ValueError: If it would pass the format's limit of 2 GB.
    """
    size = sum(t.numel() * t.element_size() for t in program.state_dict.values())
    if size > ONNX_LIMIT:
        raise ValueError(
            f'the weights are {size / 2**30:.1f} GB, and one ONNX file holds 2 at '
            'most: use --format torch'
        )
    names = dict(image={0: 'batch'}) if about['batch'] == 'dynamic' else None
    onnx = torch.onnx.export(
        program,
        input_names=['image'],
        output_names=['probabilities'],
        dynamic_shapes=names,
        opset_version=opset,
        verbose=False,
    )
    onnx.model.metadata_props.update(as_strings(about))
    onnx.save(path, external_data=False)


def load_onnx(path: str, threads: int = 0) -> Callable:
    """A function from images to probabilities; 0 threads: as many as cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return lambda images: torch.from_numpy(session.run(None, {'image': images.numpy()})[0])


SAVE = dict(torch=save_torch, onnx=save_onnx)
LOAD = dict(torch=load_torch, onnx=load_onnx)


def check_packages(formats: Sequence[str]) -> None:
    """Raise ImportError if a format needs a package that is not installed."""
    if 'onnx' not in formats:
        return
    for name in ('onnx', 'onnxscript', 'onnxruntime'):
        try:
            __import__(name)
        except ImportError as error:
            raise ImportError(
                f'ONNX needs the package {name} ({error}): pip install '
                "'mmdpt[export]', or use --format torch"
            ) from error


def export(
    model,
    out: str,
    formats: Sequence[str] = tuple(FORMATS),
    batch: str | int = 'dynamic',
    opset: int | None = None,
    calibration: Calibration | None = None,
    **about,
) -> dict[str, dict]:
    """Write a trained model as files that need no mmdpt.

    Each is loaded again and compared with the model, on several batch sizes;
    all files appear together at the end, or none does.

    Args:
        model (PromptedCLIP): The trained model, in single precision on the
            CPU.
        out (str): Path without ``.pt2`` and ``.onnx``.
        formats (Sequence[str]): Out of 'torch' and 'onnx'.
        batch (str | int): 'dynamic', or the only batch size there will be.
        opset (int, optional): Of ONNX. Defaults to PyTorch's.
        calibration (Calibration, optional): Its temperature is applied inside.
        **about: ``pipeline``, ``checkpoint`` and ``precision`` of
            :func:`describe`.

    Returns:
        dict: By format ``file``, ``bytes`` and ``differences``, the largest
        difference of probabilities by batch size.

    Raises:
        ValueError: If the model cannot be exported.
        ExportError: If a file does not agree with the model.
        ImportError: If a package is missing.
        OSError: If a file cannot be written.
    """
    check_packages(formats)
    metadata = describe(model, batch=batch, calibration=calibration, **about)
    temperature = calibration.temperature if calibration else 1.0
    program = trace(ExportedClassifier(model, temperature), batch)
    report, sizes = {}, SIZES if batch == 'dynamic' else (batch,)
    with all_or_nothing(out, formats) as places:
        for name, path in places.items():
            SAVE[name](program, path, metadata, opset)
            found = largest_difference(model, LOAD[name](path), sizes, temperature)
            check(name, found)
            report[name] = dict(
                file=out + FORMATS[name], bytes=osp.getsize(path), differences=found
            )
    return report


@contextmanager
def all_or_nothing(out: str, formats: Sequence[str]):
    """Temporary files that take their places together, unless there was an
    error."""
    folder, stem = osp.split(osp.abspath(out))
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{stem}.', suffix='.tmp', dir=folder) as there:
        places = {name: osp.join(there, stem + FORMATS[name]) for name in formats}
        yield places
        for name, path in places.items():
            os.replace(path, out + FORMATS[name])
