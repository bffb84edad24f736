"""One description of the data for the model and all datasets."""

from collections.abc import Iterator

from mmengine.config import Config, ConfigDict

from .data_protocol import DataProtocol

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# for configs that are run with a plain Runner
REFUSAL = (
    "The config's `dataset` is handed to the model and the datasets by "
    "FewShotRunner: set runner_type='FewShotRunner' and start with "
    'tools/train.py (or RUNNERS.build(cfg) of mmengine.registry), not with '
    'Runner.from_cfg.'
)
LOADING = ('LoadPILImage', 'mmpretrain.LoadPILImage')
OWN = ('classes', 'templates', 'image_dir', 'fractions', 'allow_leaks')
GIVEN = ('data_root', 'subset', 'protocol')  # to each dataset, where the config says it
SHARED = {'name', *GIVEN, 'background', 'own', *OWN, 'shared'}
PROTOCOL = {*DataProtocol.model_fields}  # settings of ``dataset.protocol``


def share_dataset(cfg: Config) -> Config:
    """Hand ``cfg.dataset`` to the model and to all datasets.

    ``dataset = dict(name=..., data_root=..., subset=...)`` says once what
    ``model.classes`` and the three dataloaders need to know, so that
    ``--cfg-options dataset.data_root=D`` is enough. What a dataset says
    itself stays, and so do class names that the model lists; a benchmark's
    name as ``model.classes`` stands for the classes of ``dataset``.

    Args:
        cfg (Config): Changed in place. ``cfg.dataset`` may hold ``name`` (of
            a benchmark, or of your own data if ``own`` is True),
            ``data_root``, ``subset``, ``background`` (of transparent pictures,
            for all loaders), ``protocol`` (see :class:`DataProtocol`),
            and for your own data the other arguments of :func:`own_benchmark`.

    Returns:
        Config: The same.
    """
    shared = cfg.get('dataset')
    if not shared:
        return cfg
    values = _values(shared)
    before = shared.get('shared', {})
    for name in LOADERS:
        dataset = (cfg.get(name) or {}).get('dataset')
        for inner in innermost(dataset):
            _fill(inner, values, before)
            _fill_loaders(inner, shared)
    if cfg.get('model'):
        _fill_model(cfg.model, values, before)
    # so that a dumped config follows a changed ``dataset``, too
    shared.shared = ConfigDict(values)
    return cfg


def innermost(dataset: dict | None) -> Iterator[dict]:
    """The configs of the datasets that hold images.

    Args:
        dataset (dict, optional): Of a dataset, or of wrappers around some
            (``RepeatDataset``, ``ConcatDataset``).
    """
    if not dataset:
        return
    parts = dataset.get('datasets') or [dataset.get('dataset')]
    if parts == [None]:
        yield dataset
    for part in parts:
        yield from innermost(part)


def check_shared(cfg: dict) -> None:
    """Refuse a config whose ``dataset`` no runner has handed on.

    Raises:
        ValueError: Says which runner does.
    """
    shared = cfg.get('dataset')
    if isinstance(shared, dict) and 'name' in shared and shared.get('shared') != _values(shared):
        raise ValueError(
            f'{REFUSAL} Without it dataset.name, dataset.data_root and '
            'dataset.subset would have no effect.'
        )


def _values(shared: dict) -> dict:
    """What ``cfg.dataset`` says, as the datasets' arguments."""
    benchmark = shared['name']
    if shared.get('own'):
        benchmark = dict(
            name=benchmark, **{key: shared[key] for key in OWN if shared.get(key) is not None}
        )
    return dict(benchmark=benchmark, **{key: shared[key] for key in GIVEN if key in shared})


def _fill(dataset: ConfigDict, values: dict, before: dict) -> None:
    for key, value in values.items():
        if key not in dataset or dataset[key] == before.get(key):
            dataset[key] = value


def _fill_loaders(dataset: ConfigDict, shared: dict) -> None:
    """One background for all that the model sees, in training and later."""
    if 'background' in shared:
        for step in dataset.get('pipeline') or ():
            if step['type'] in LOADING:
                step['background'] = shared['background']


def _fill_model(model: ConfigDict, values: dict, before: dict) -> None:
    while 'module' in model:  # test-time augmentation
        model = model.module
    values, before = (
        {key: value for key, value in said.items() if key != 'protocol'}
        for said in (values, before)
    )
    classes = model.get('classes')
    if isinstance(classes, str) or (classes and classes == before):
        model.classes = ConfigDict(values)
