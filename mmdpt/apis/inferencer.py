"""MMPretrain's inferencer for trained prompts and for zero-shot CLIP."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from mmengine.device import get_device
from mmengine.logging import print_log
from mmpretrain.apis import ImageClassificationInferencer
from mmpretrain.registry import TRANSFORMS
from mmpretrain.visualization import UniversalVisualizer
from torch.utils.data import DataLoader

from mmdpt.datasets.pictures import background_of
from mmdpt.evaluation.calibration import logits_in, tempered

from .device import usable_device
from .photos import Photos, collate, find_images, load_image
from .plan import Plan, build, plan_of_checkpoint, zero_shot_plan

LOADING = ('LoadPILImage', 'LoadImageFromFile')


class PromptInferencer(ImageClassificationInferencer):
    """Classify photos with a trained checkpoint; no training data needed.

    Args:
        checkpoint (str): A file that training wrote. It carries the model's
            config and class names, but not CLIP's weights. Nothing in it is
            run as code.
        classes (Sequence[str], optional): Other class names, where the method
            allows it: contexts shared by all classes, visual prompts, DPT,
            LoRA, CLIP-Adapter. Defaults to those of the training.
        templates (Sequence[str], optional): Other hand-written prompts.
        config (str, optional): Config file of the training, for checkpoints
            that carry none. It is run, as all configs are Python.
        pretrained (str, optional): Where CLIP's weights are on this machine.
        device (str | torch.device, optional): Defaults to the best there is.
        upright (bool): Turn photos as EXIF says. The benchmarks do not, so
            ``tools/test.py`` does not. Defaults to True.
        descriptions (str, optional): File of sentences of each class, in place
            of templates.

    Attributes:
        classes (list[str]): Names, in the order of the scores.
        model (nn.Module): The model.
        device (torch.device): Where it is.
        background (tuple[int]): What transparent pictures are put on, as in
            the training.
        calibration (Calibration, optional): That of the checkpoint, if it has one and
            classes, templates and descriptions are its own. It changes probabilities, not
            names; None leaves them as the model gives them, bit for bit.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the checkpoint is damaged or does not fit, or the method
            cannot take other classes.

    Examples:
        >>> from mmdpt.apis import PromptInferencer
        >>> inferencer = PromptInferencer('work_dirs/mugs/epoch_100.pth')
        >>> inferencer('photo.jpg')[0]['pred_class']
        'tea cup'
        >>> for result in inferencer.stream(find_images('photos')):
        ...     print(result['img_path'], result.get('pred_class'))
    """

    def __init__(
        self,
        checkpoint: str,
        classes: Sequence[str] | None = None,
        templates: Sequence[str] | None = None,
        config: str | None = None,
        pretrained: str | None = None,
        device: str | torch.device | None = None,
        upright: bool = True,
        descriptions: str | None = None,
    ):
        plan = plan_of_checkpoint(checkpoint, config)
        model = build(plan, classes, templates, pretrained, descriptions)
        others = classes is not None and list(classes) != plan.classes
        if plan.calibration and (others or templates is not None or descriptions is not None):
            print_log(
                'The calibration of this checkpoint holds for its own classes and prompts: '
                'probabilities are as the model gives them.',
                logger='current',
            )
            plan = plan._replace(calibration=None)
        self._start(plan, model, device, upright)

    @classmethod
    def zero_shot(
        cls,
        classes: Sequence[str],
        templates: Sequence[str] | None = None,
        arch: str = 'ViT-B-16-quickgelu',
        pretrained: str | None = 'openai',
        device: str | torch.device | None = None,
        upright: bool = True,
        descriptions: str | None = None,
    ) -> 'PromptInferencer':
        """Frozen CLIP with class names only; nothing is learnt.

        Args:
            classes (Sequence[str]): Class names, at least two.
            templates (Sequence[str], optional): Prompts with one ``{}``.
                Defaults to 'a photo of a {}.'.
            arch (str), pretrained (str): See :func:`mmdpt.models.clip.load_clip`.
            device, upright, descriptions: As above.
        """
        self = cls.__new__(cls)
        plan = zero_shot_plan(classes, templates, arch, pretrained)
        self._start(plan, build(plan, descriptions=descriptions), device, upright)
        return self

    def _start(self, plan: Plan, model, device, upright: bool) -> None:
        self.upright, self.calibration = upright, plan.calibration
        self.background = background_of(plan.pipeline)
        # where the base class looks for the transforms
        model._config = Config(
            dict(model=plan.model, test_dataloader=dict(dataset=dict(pipeline=plan.pipeline)))
        )
        self.device = usable_device(device or get_device())
        super().__init__(model, pretrained=False, device=self.device, classes=model.classes)

    def _init_pipeline(self, cfg: Config) -> Callable:
        steps = cfg.test_dataloader.dataset.pipeline
        return Compose([TRANSFORMS.build(s) for s in steps if s['type'] not in LOADING])

    def load(self, image) -> dict:
        """Read an image, see :func:`mmdpt.apis.photos.load_image`."""
        return load_image(image, self.upright, self.background)

    def _inputs_to_list(self, inputs) -> list:
        if isinstance(inputs, (str, os.PathLike)):
            return find_images(os.fspath(inputs))
        return list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]

    def visualize(
        self, ori_inputs: list, preds: list, show: bool = False, show_dir=None, **kwargs
    ) -> list | None:
        """Draw the predictions on what the model saw; the base class opens files its own way."""
        if not show and show_dir is None:
            return None
        self.visualizer: UniversalVisualizer = self.visualizer or UniversalVisualizer()
        drawn = []
        for i, (image, sample) in enumerate(zip(ori_inputs, preds)):
            name = Path(image).stem if isinstance(image, (str, os.PathLike)) else str(i)
            out_file = None
            if show_dir is not None:
                Path(show_dir).mkdir(exist_ok=True)
                out_file = str((Path(show_dir) / name).with_suffix('.png'))
            self.visualizer.visualize_cls(
                self.load(image)['img'][..., ::-1],
                sample,
                classes=self.classes,
                show=show,
                draw_gt=False,
                name=name,
                out_file=out_file,
                **kwargs,
            )
            drawn.append(self.visualizer.get_image())
        if show:
            self.visualizer.close()
        return drawn

    def preprocess(self, inputs: list, batch_size: int = 32) -> Iterator[dict]:
        """Yield batches of loaded and transformed images."""
        transform = Compose([self.load, self.pipeline])
        yield from map(default_collate, self._get_chunk_data(map(transform, inputs), batch_size))

    @property
    def temperature(self) -> float:
        """What the calibration divides logits by; 1 without one."""
        return self.calibration.temperature if self.calibration else 1.0

    def forward(self, inputs: dict, **kwargs) -> list:
        """Classify a batch; a calibration divides the logits by its temperature."""
        samples, found = super().forward(inputs, **kwargs), self.calibration
        if found is not None:
            about = found.model_dump(include={'temperature', 'threshold'})
            for sample in samples:
                if found.temperature != 1:
                    sample.set_pred_score(tempered(logits_in(sample), found.temperature))
                sample.set_metainfo(about)
        return samples

    def postprocess(self, preds: list, visualization, return_datasamples: bool = False) -> list:
        """MMPretrain's results; calibrated ones say whether the answer is "not sure"."""
        results = super().postprocess(preds, visualization, return_datasamples)
        if not return_datasamples:
            for sample, result in zip(preds, results):
                if 'threshold' in sample:
                    result.update(
                        rejected=result['pred_score'] < sample.threshold,
                        temperature=sample.temperature,
                        threshold=sample.threshold,
                    )
        return results

    def __call__(
        self, inputs, return_datasamples: bool = False, batch_size: int = 32, **kwargs
    ) -> list[dict]:
        """Classify images; all results are kept, see :meth:`stream`.

        Args:
            inputs (str | Path | PIL.Image.Image | np.ndarray | list): See
                :func:`load_image`; a folder stands for all images below it.
            return_datasamples (bool): Give MMPretrain's ``DataSample``.
            batch_size (int): Images per batch. Defaults to 32.
            **kwargs: ``show_dir`` and others, see MMPretrain's
                ``ImageClassificationInferencer``.

        Returns:
            list[dict]: ``pred_scores`` (C,), ``pred_label``, ``pred_score``
            and ``pred_class`` of each image; of a calibrated checkpoint also
            ``rejected``, ``temperature`` and ``threshold``.
        """
        return super().__call__(inputs, return_datasamples, batch_size, **kwargs)

    def stream(
        self, paths: Sequence[str], batch_size: int = 32, num_workers: int = 0
    ) -> Iterator[dict]:
        """Classify any number of image files in constant memory.

        Args:
            paths (Sequence[str]): Image files.
            batch_size (int): Images per batch. Defaults to 32.
            num_workers (int): Processes that load images. Defaults to 0.

        Yields:
            dict: As :meth:`__call__`, with ``img_path``; for an unreadable file
            ``img_path`` and ``error``. In the order of ``paths``.
        """
        photos = Photos(paths, Compose([self.load, self.pipeline]))
        loader = DataLoader(photos, batch_size, num_workers=num_workers, collate_fn=collate)
        for files, batch in loader:
            found = iter(self.postprocess(self.forward(batch), None) if batch else ())
            for path, why in files:
                yield dict(img_path=path, error=why) if why else dict(next(found), img_path=path)
