"""Run MMPretrain's own scripts on the versions that we pin.

Some use what newer packages have renamed or removed. That is restored
while a script runs; the scripts stay as they are.
"""

import runpy
import sys
import types
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch


def scripts():
    """dict: The scripts that came with MMPretrain, by name."""
    import mmpretrain

    folder = Path(mmpretrain.__file__).parent / '.mim' / 'tools'
    return {path.stem: path for path in sorted(folder.rglob('*.py'))}


def run(name, arguments):
    """Run a script of MMPretrain in this process, as from the command line.

    Args:
        name (str): Its file name without ``.py``.
        arguments (Sequence[str]): Its command line.

    Raises:
        ValueError: If there is none of that name; lists them.
    """
    found = scripts()
    if name not in found:
        raise ValueError(
            f'MMPretrain has no script {name!r}: choose among '
            f'{", ".join(found) or "none; install mmpretrain with pip"}'
        )
    adapted = ADAPTED.get(name, [])
    with ExitStack() as stack:
        stack.enter_context(patch.object(sys, 'argv', [f'{name}.py', *arguments]))
        for adapt in (shared_datasets, *adapted):
            stack.enter_context(adapt())
        runpy.run_path(str(found[name]), run_name='__main__')


def shared_datasets():
    """Configs whose ``dataset`` has been handed on, as our Runner does."""
    from mmengine.config import Config

    from mmdpt.datasets import share_dataset

    stock = Config.fromfile
    return patch.object(
        Config, 'fromfile', lambda *args, **kwargs: share_dataset(stock(*args, **kwargs))
    )


def stand_in_model():
    """The rates are those of a stand-in, which has no parameter that options may name."""
    from mmdpt.engine.optim import PromptOptimWrapperConstructor

    return patch.object(PromptOptimWrapperConstructor, '_check_keys', lambda self, model: None)


def tsne_iterations():
    """scikit-learn 1.7 removed TSNE's ``n_iter``, which is ``max_iter`` now."""
    from sklearn import manifold

    stock = manifold.TSNE
    return patch.object(
        manifold, 'TSNE', lambda n_iter=1000, **kwargs: stock(max_iter=n_iter, **kwargs)
    )


def bounding_box():
    """matplotlib 3.11 asks for the renderer."""
    from matplotlib import _tight_bbox

    stock = _tight_bbox.adjust_bbox
    return patch.object(
        _tight_bbox,
        'adjust_bbox',
        lambda figure, box: stock(figure, box, figure.canvas.get_renderer()),
    )


def named_images():
    """An image whose name gives no format (the digits are not files) is a PNG."""
    import mmcv

    stock = mmcv.imwrite
    return patch.object(
        mmcv,
        'imwrite',
        lambda image, path, *args, **kwargs: stock(
            image, path if Path(path).suffix else f'{path}.png', *args, **kwargs
        ),
    )


def package_versions():
    """setuptools 82 removed ``pkg_resources``."""
    from importlib.metadata import version

    module = types.ModuleType('pkg_resources')
    module.get_distribution = lambda name: types.SimpleNamespace(version=version(name))
    return patch.dict(sys.modules, pkg_resources=module)


@contextmanager
def image_tokens_only():
    """Class activation maps of our image towers.

    grad-cam 1.5 removed ``use_cuda``. In addition, a layer of ours runs several
    times in a forward pass: for frozen CLIP (DPT), for the image, for the
    prompts. The map is that of the image tokens, in the pass with gradients
    where there is one.

    Raises:
        ImportError: If grad-cam is not installed; says how.
    """
    try:
        import pytorch_grad_cam as cam
        from pytorch_grad_cam import activations_and_gradients as hooks
    except ImportError as error:
        raise ImportError(
            'vis_cam needs grad-cam: pip install --no-deps grad-cam ttach '
            '(its dependencies would install a second OpenCV)'
        ) from error
    with ExitStack() as stack:
        for kind in cam.base_cam.BaseCAM.__subclasses__():
            stack.enter_context(patch.object(kind, '__init__', without_cuda(kind.__init__)))
        base = cam.base_cam.BaseCAM
        stack.enter_context(
            patch.object(base, 'compute_cam_per_layer', with_gradients(base.compute_cam_per_layer))
        )
        stack.enter_context(
            patch.object(
                hooks, 'ActivationsAndGradients', token_hooks(hooks.ActivationsAndGradients)
            )
        )
        yield


def without_cuda(stock):
    """A constructor that ignores ``use_cuda``."""

    def init(self, *args, use_cuda=None, **kwargs):
        stock(self, *args, **kwargs)

    return init


def with_gradients(stock):
    """The maps, refused where a method needs gradients and there are none."""

    def compute(self, *args):
        if self.uses_gradients and not self.activations_and_grads.gradients:
            raise ValueError(
                f'{type(self).__name__} needs a gradient at the target layer, but none reaches '
                'it: the image tower is frozen and has no prompts before that layer. Take '
                '--method EigenCAM, which needs none, or a later layer'
            )
        return stock(self, *args)

    return compute


def token_hooks(stock):
    """The class that records a layer's outputs, for image tokens only."""

    class TokenHooks(stock):
        """A layer sees image tokens first, which gives their number."""

        def __call__(self, x):
            self.recorded = {}
            logits = super().__call__(x)
            self.activations = [
                next((a for a, learns in passes if learns), passes[-1][0])
                for passes in self.recorded.values()
            ]
            return logits

        def save_activation(self, module, input, output):
            passes = self.recorded.setdefault(module, [])
            if not passes or output.shape[1] == self.length:
                self.length = output.shape[1]
                activation = self.reshape_transform(output).cpu().detach()
                passes.append((activation, output.requires_grad))

        def save_gradient(self, module, input, output):
            if output.shape[1] == self.length:
                super().save_gradient(module, input, output)

    return TokenHooks


ADAPTED = dict(
    browse_dataset=[bounding_box, named_images],
    vis_cam=[package_versions, image_tokens_only],
    vis_scheduler=[stand_in_model],
    vis_tsne=[tsne_iterations],
)
