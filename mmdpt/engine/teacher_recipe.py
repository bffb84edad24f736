"""The teacher of a config that names its checkpoint, but not the prompts in it."""

from mmengine.config import Config

from mmdpt.models.clip.config import read_config
from mmdpt.models.clip.weights import is_tag

from .checkpoint import read_checkpoint
from .entry import read_recipe

LEARNT = {'text_prompt', 'visual_prompt', 'tuning', 'head'}


def complete_teacher(cfg: Config) -> None:
    """Take the prompts of ``model.teacher`` from its checkpoint, unless the config names them.

    What the config says of the teacher's model, such as ``arch``, ``pretrained`` and
    ``transfer``, counts.

    Args:
        cfg (Config): Changed in place.

    Raises:
        CheckpointError: If the checkpoint does not say how its model is built.
        ValueError: If its weights of CLIP are a file: places that a checkpoint names are never
            opened.
    """
    model = cfg.get('model')
    teacher = model.get('teacher') if isinstance(model, dict) else None
    if not isinstance(teacher, dict) or not teacher.get('checkpoint'):
        return
    said = teacher.get('model') or {}
    if LEARNT & set(said):
        return
    path = teacher['checkpoint']
    recipe, _ = read_recipe(read_checkpoint(path)['meta'], path)
    found = {**{k: v for k, v in recipe.items() if k != 'type'}, **said}
    weights, (name, _) = found.get('pretrained'), read_config(found['arch'])
    if 'pretrained' not in said and not (weights and is_tag(name, weights)):
        raise ValueError(
            f"{path} needs CLIP's weights, which are {weights!r} there: set "
            'model.teacher.model.pretrained to their file.'
        )
    teacher['model'] = found
