"""What an exported file says about itself."""

import json
from collections.abc import Sequence

from ..datasets.pictures import background_of
from ..engine.provenance import now, versions
from ..evaluation.calibration import Calibration
from .classifier import normalisation

ELSEWHERE = ('LoadPILImage', 'LoadImageFromFile', 'PackInputs')  # files and tensors
INPUT = (
    'image: uint8 (batch, 3, height, width), RGB, 0 to 255, resized and cropped; '
    'normalisation is inside; transparent parts put on background'
)
OUTPUT = 'probabilities: float32 (batch, classes), in the order of classes'


def describe(
    model,
    pipeline: Sequence[dict] | None = None,
    batch='dynamic',
    checkpoint: str | None = None,
    precision: str = 'fp32',
    calibration: Calibration | None = None,
) -> dict:
    """Metadata of a file, in plain Python.

    Args:
        model (PromptedCLIP): The model.
        pipeline (Sequence[dict], optional): Transforms of its test images.
        batch (str | int): 'dynamic' or the only batch size.
        checkpoint (str, optional): Name of the file with what was learnt.
        precision (str): Of the frozen towers in training.
        calibration (Calibration, optional): Of the probabilities.

    Returns:
        dict: ``classes``, ``clip`` (arch, pretrained, fingerprint), ``size``
        (height, width), ``mean`` and ``std`` (of 255, applied inside),
        ``resize`` (transforms to be applied before), ``background`` (red,
        green, blue, under transparent parts), ``calibration`` (``temperature``, applied
        inside, ``threshold``, below which the largest probability means "not sure", and where
        they come from; None: there is none), and more.
    """
    mean, std = (
        [round(float(x), 7) for x in part] for part in normalisation(model.data_preprocessor)
    )
    steps = [dict(step) for step in pipeline or () if step['type'] not in ELSEWHERE]
    parts = (model.text_prompt, model.visual_prompt, model.tuning, model.head)
    return dict(
        model.identity(),
        input=INPUT,
        output=OUTPUT,
        size=list(model.backbone.image_size),
        mean=mean,
        std=std,
        resize=steps,
        background=list(background_of(pipeline or ())),
        batch=batch,
        method=[type(part).__name__ for part in parts if part is not None],
        checkpoint=checkpoint,
        calibration=calibration and calibration.model_dump(),
        trained_precision=precision,
        versions=versions(),
        created=now(),
    )


def as_strings(about: dict) -> dict[str, str]:
    """The same with every value as JSON, for files that hold only strings."""
    return {key: json.dumps(value, ensure_ascii=False) for key, value in about.items()}
