"""One description of the data for the model and all datasets."""
from mmengine.config import Config, ConfigDict

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
OWN = ('classes', 'templates', 'image_dir', 'fractions')


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
            ``data_root``, ``subset``, and for your own data the other
            arguments of :func:`own_benchmark`.

    Returns:
        Config: The same.
    """
    shared = cfg.get('dataset')
    if not shared:
        return cfg
    benchmark = shared.name
    if shared.get('own'):
        benchmark = dict(name=shared.name, **{
            key: shared[key] for key in OWN if shared.get(key) is not None})
    values = dict(benchmark=benchmark, **{
        key: shared[key] for key in ('data_root', 'subset') if key in shared})
    before = shared.get('shared', {})
    for name in LOADERS:
        dataset = (cfg.get(name) or {}).get('dataset')
        if dataset is not None:
            _fill(dataset, values, before)
    if cfg.get('model'):
        _fill_model(cfg.model, values, before)
    # so that a dumped config follows a changed ``dataset``, too
    shared.shared = ConfigDict(values)
    return cfg


def _fill(dataset: ConfigDict, values: dict, before: dict) -> None:
    while 'dataset' in dataset:  # RepeatDataset and the like
        dataset = dataset.dataset
    for key, value in values.items():
        if key not in dataset or dataset[key] == before.get(key):
            dataset[key] = value


def _fill_model(model: ConfigDict, values: dict, before: dict) -> None:
    while 'module' in model:  # test-time augmentation
        model = model.module
    classes = model.get('classes')
    if isinstance(classes, str) or (classes and classes == before):
        model.classes = ConfigDict(values)
