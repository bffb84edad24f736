"""A trained model in Python: photos in, names and probabilities out."""

import os
import os.path as osp
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmdpt.apis import PromptInferencer
from mmdpt.results.fit_schema import FILE, Fit, read_fit

if TYPE_CHECKING:
    from pandas import DataFrame

MODEL = 'model.pth'
ALL_PHOTOS = 'model_all.pth'  # has learnt from the held-out photos, too


@dataclass(frozen=True)
class Answer:
    """What the model says of a photo.

    Attributes:
        image: Its file; '' for a picture in memory.
        name: The likeliest class.
        probability: Of that class.
        probabilities: Of each class.
        rejected: Whether the model is not sure; see docs/trust.md.
    """

    image: str
    name: str
    probability: float
    probabilities: dict[str, float]
    rejected: bool = False


class Answers(list[Answer]):
    """Answers in the order of the photos."""

    def frame(self) -> 'DataFrame':
        """One row per photo: image, name, probability, rejected, and a column per class."""
        from pandas import DataFrame

        rows = [
            dict(
                image=a.image,
                name=a.name,
                probability=a.probability,
                rejected=a.rejected,
                **a.probabilities,
            )
            for a in self
        ]
        return DataFrame(rows)


class Classifier:
    """A model that :func:`mmdpt.fit` or any training has made.

    Args:
        path (str): The folder of a fit, or a checkpoint.
        pretrained (str, optional): Where CLIP's weights are on this machine.
        device (str, optional): Defaults to the best there is.

    Attributes:
        classes (list[str]): Names, in the order of the scores.
        fit (Fit | None): ``fit.json``, if the model is from a fit.
        inferencer (PromptInferencer): What does the work.

    Raises:
        OSError: If there is no model.
        ValueError: If it is damaged.
    """

    def __init__(self, path: str, pretrained: str | None = None, device: str | None = None):
        path = os.fspath(path)
        checkpoint = osp.join(path, MODEL) if osp.isdir(path) else path
        if not osp.isfile(checkpoint):
            raise FileNotFoundError(
                f'there is no model at {checkpoint}: give the folder that mmdpt fit wrote, or a '
                'checkpoint of mmdpt train'
            )
        beside = osp.join(osp.dirname(checkpoint), FILE)
        found = osp.basename(checkpoint) == MODEL and osp.isfile(beside)
        self.fit: Fit | None = read_fit(beside) if found else None
        self.inferencer = PromptInferencer(checkpoint, pretrained=pretrained, device=device)
        self.inferencer.show_progress = False
        self.classes = list(self.inferencer.classes)

    def predict(self, images: Any, batch_size: int = 32) -> Answers:
        """Classify photos.

        Args:
            images (str | Path | PIL.Image.Image | np.ndarray | list): A file, a folder, a picture,
                or a list of these; see :meth:`PromptInferencer.load`.
            batch_size (int): Photos per forward pass.

        Raises:
            OSError, ValueError, TypeError: If one of them is no picture.
        """
        given = self.inferencer._inputs_to_list(images)
        found = self.inferencer(given, batch_size=batch_size) if given else []
        return Answers(
            Answer(
                os.fspath(image) if isinstance(image, (str, os.PathLike)) else '',
                self.classes[int(result['pred_label'])],
                float(result['pred_score']),
                dict(zip(self.classes, map(float, result['pred_scores']))),
                bool(result.get('rejected', False)),
            )
            for image, result in zip(given, found)
        )


def load(path: str, pretrained: str | None = None, device: str | None = None) -> Classifier:
    """Load a model: ``mmdpt.load('mugs').predict('photo.jpg')``; see :class:`Classifier`."""
    return Classifier(path, pretrained, device)
