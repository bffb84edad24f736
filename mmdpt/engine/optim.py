"""An optimizer over the learnt tensors only."""

import difflib

from mmengine.optim import DefaultOptimWrapperConstructor
from mmpretrain.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PromptOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """MMEngine's constructor, for models that are mostly frozen.

    Frozen subtrees (CLIP's towers) are skipped: the stock constructor logs
    a warning for each of their tensors, or hands them all to the optimizer
    when ``paramwise_cfg`` is empty. Parameters with the same options share a
    group. ``paramwise_cfg`` works as usual; other keys of ``custom_keys``, such
    as ``warmup_epochs``, are put into the parameter group.

    Raises:
        ValueError: If the model has nothing to train, or a custom key matches
            no learnt parameter.
    """

    def __call__(self, model):
        # An empty paramwise_cfg makes the stock code take every parameter.
        self.paramwise_cfg = self.paramwise_cfg or dict(custom_keys={})
        return super().__call__(model)

    def add_params(self, params, module, prefix='', is_dcn_module=None):
        """Add the parameter groups of a module; see the base class."""
        if any(p.requires_grad for p in module.parameters()):
            super().add_params(params, module, prefix, is_dcn_module)
        if prefix:
            return
        if not params:
            raise ValueError(
                f'{type(module).__name__} has nothing to train: every parameter is frozen. '
                'Configure a text_prompt or a visual_prompt, or evaluate the model as it is '
                'with tools/test.py'
            )
        self._check_keys(module)
        params[:] = _merged(params)

    def _check_keys(self, model):
        names = [name for name, p in model.named_parameters() if p.requires_grad]
        for key in self.paramwise_cfg.get('custom_keys', {}):
            if not any(key in name for name in names):
                parts = {
                    '.'.join(name.split('.')[: i + 1])
                    for name in names
                    for i in range(name.count('.') + 1)
                }
                near = difflib.get_close_matches(key, sorted(parts), n=2, cutoff=0.5)
                raise ValueError(
                    f"paramwise_cfg.custom_keys: '{key}' matches no learnt parameter"
                    + (
                        f'; did you mean {" or ".join(near)}?'
                        if near
                        else f'; learnt are {", ".join(names[:10])}'
                    )
                )


def _merged(groups):
    """Groups with equal options become one, in order of first appearance."""
    merged = {}
    for group in groups:
        options = {k: v for k, v in group.items() if k != 'params'}
        key = repr(sorted(options.items()))
        merged.setdefault(key, dict(options, params=[]))['params'] += group['params']
    return list(merged.values())
