"""Recompute the cases beside the methods: preprocessing, schedule, draws."""

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS, TRANSFORMS

from mmdpt.datasets import Item, Split, check_classes, sample_few_shot, select_classes
from mmdpt.engine.schedule import constant_warmup_cosine
from mmdpt.evaluation import accuracy, search_linear_probe
from mmdpt.evaluation.baselines import FIRST_C

from .settings import NotImplementedCase


def preprocess(arrays: dict[str, np.ndarray], config: Config) -> dict[str, np.ndarray]:
    """Crop and normalise the images as a config's test pipeline does.

    Args:
        arrays (dict): ``image_0``, ``image_1``, ...: (h, w, 3) uint8 RGB.
        config (Config): Has ``test_pipeline`` and ``data_preprocessor``.

    Returns:
        dict: ``crop_uint8`` (n, H, W, 3) and ``out`` (n, 3, H, W).
    """
    init_default_scope('mmpretrain')
    pipeline = Compose([TRANSFORMS.build(t) for t in config.test_pipeline])
    normalise = MODELS.build(config.data_preprocessor)
    crops = []
    for i in range(sum(key.startswith('image_') for key in arrays)):
        image = np.ascontiguousarray(arrays[f'image_{i}'][..., ::-1])  # BGR
        results = pipeline(dict(img=image, img_shape=image.shape[:2]))
        crops.append(results['inputs'])  # (3, H, W)
    batch = torch.stack(crops)
    return dict(
        crop_uint8=batch.flip(1).permute(0, 2, 3, 1).numpy(),
        out=normalise(dict(inputs=batch))['inputs'].numpy(),
    )


def lr_schedule(content: dict) -> dict[str, tuple]:
    """Our rates beside the file's, by setting."""
    found = {}
    for part in ('runs', 'other_settings'):
        for i, run in enumerate(content.get(part, [])):
            if run['warmup_type'] != 'constant':
                raise NotImplementedCase(f'warm-up type {run["warmup_type"]!r}')
            ours = [
                constant_warmup_cosine(
                    e,
                    run['lr'],
                    run['epochs'],
                    run['warmup_epochs'],
                    run['warmup_constant_lr'],
                    run['warmup_recount'],
                )
                for e in range(len(run['per_epoch_lr']))
            ]
            found[f'{part}/{i}/per_epoch_lr'] = (ours, run['per_epoch_lr'])
            if 'lr_after_last_epoch' in run:
                found[f'{part}/{i}/lr_after_last_epoch'] = (
                    constant_warmup_cosine(
                        run['epochs'],
                        run['lr'],
                        run['epochs'],
                        run['warmup_epochs'],
                        run['warmup_constant_lr'],
                        run['warmup_recount'],
                    ),
                    run['lr_after_last_epoch'],
                )
    return found


def few_shot_sampling(content: dict) -> dict[str, tuple]:
    """Our draws and class subsets beside the file's, by setting.

    Args:
        content (dict): ``splits`` by name, and the lists ``fewshot``,
            ``subsample`` and ``fewshot_then_subsample`` of what was made of
            them.

    Returns:
        dict: By key, our list and the file's.
    """
    splits = {
        name: Split(*([Item(*item) for item in lists[part]] for part in Split._fields))
        for name, lists in content['splits'].items()
    }
    found = {}
    for case in ('fewshot', 'subsample', 'fewshot_then_subsample'):
        for i, theirs in enumerate(content.get(case, [])):
            ours = _make_lists(splits[theirs['split']], theirs)
            for key in theirs:
                if key in ('split', 'seed', 'shots', 'subsample'):
                    continue
                found[f'{case}/{i}/{key}'] = (ours.get(key), theirs[key])
    return found


def _make_lists(split: Split, setting: dict) -> dict:
    train, val, test = split
    if 'shots' in setting:
        train, val = sample_few_shot(train, val, setting['shots'], setting['seed'])
    lists = select_classes((train, val, test), setting.get('subsample', 'all'))
    split = Split(*lists)
    names = check_classes(split, setting['split'])
    lists = {key: list(map(list, part)) for key, part in split._asdict().items()}
    return dict(lists, classnames=list(names), num_classes=len(names))


def linear_probe(arrays: dict[str, np.ndarray], meta: dict) -> dict:
    """The protocol's draws, search and figures, by the file's keys."""
    if list(meta.get('search_list', FIRST_C)) != list(FIRST_C):
        raise NotImplementedCase(f'search_list={meta["search_list"]}')
    found = {}
    for shots in meta['shots']:
        random = np.random.RandomState(meta['seed_of_choice'])
        key, sets = f'shot_{shots}/', []
        for part, count in (('train', shots), ('val', min(shots, 4))):
            labels = arrays[f'{part}/labels']
            drawn = np.concatenate(
                [
                    random.choice(np.flatnonzero(labels == c), count, False)
                    for c in np.unique(labels)
                ]
            )
            found[f'{key}{part}_indices'] = drawn
            sets.append((arrays[f'{part}/features'][drawn], labels[drawn]))
        meta.get('scikit_learn')  # read by solver_dependent
        probe = search_linear_probe(*sets, rounds=meta['steps'])
        test = arrays['test/features'].astype(np.float64), arrays['test/labels']
        last = probe.classifier
        found.update(
            {
                f'{key}initial_val_accuracy': probe.first_val_accuracy,
                f'{key}C_left_right': [r.c for r in probe.rounds],
                f'{key}val_accuracy_left_right': [r.val_accuracy for r in probe.rounds],
                f'{key}C_final': [r.kept.C for r in probe.rounds],
                f'{key}test_accuracy': [100 * accuracy(r.kept, *test) for r in probe.rounds],
                f'{key}test_prediction': last.predict(test[0]),
                f'{key}test_decision': last.decision_function(test[0]),
                f'{key}coef': last.coef_,
                f'{key}intercept': last.intercept_,
            }
        )
    return {k: np.asarray(v) for k, v in found.items()}


def solver_dependent(tensors: dict, meta: dict) -> dict[str, dict]:
    """What only the same solver gives: with another one it is skipped.

    Weak regularisation stops the solver well before the optimum.
    """
    import sklearn

    if sklearn.__version__ == meta.get('scikit_learn'):
        return {}
    ends = ('test_prediction', 'test_decision', 'coef', 'intercept', 'test_accuracy')
    reason = (
        f'depends on the solver: the file is of scikit-learn '
        f'{meta.get("scikit_learn")}, here is {sklearn.__version__}'
    )
    return {key: dict(skipped=reason) for key in tensors if key.endswith(ends)}
