"""What all few-shot datasets share: draw, class subset, images, randomness."""

import os
from collections.abc import Sequence

import torch
from mmpretrain.datasets import BaseDataset

from mmdpt.utils.checks import check_least

from .benchmarks import Benchmark
from .corruptions import corrupt_before_packing
from .data_protocol import DataProtocol, check_split, hardened, read_protocol
from .descriptions import as_benchmark, with_classes
from .randomness import generators_kept, sample_randomness
from .sampling import check_enough, draw_hash, sample_few_shot, select_classes, subset_labels
from .split_files import Item, Split
from .unlabelled import check_unlabelled, images_below

PACKED = 10_000  # images from which on the list is packed for worker processes


class BaseFewShotDataset(BaseDataset):
    """Base of the few-shot datasets.

    Subclasses give the lists (:meth:`load_split`) and say where an item's
    image is (:meth:`image_path`); they may put images into ``self.images``.

    Unlike MMPretrain's datasets it never replaces a sample that cannot be
    loaded by another one: in few-shot learning that changes the experiment.

    Args:
        benchmark (str | dict | Benchmark): The benchmark; its name; or the
            arguments of :func:`own_benchmark`.
        split (str): 'train', 'val' or 'test'. The test list is never sampled.
        shots (int, optional): Training images per class; val takes
            ``min(shots, 4)``. None takes the whole lists. Defaults to None.
        seed (int): Seed of the draw and of the augmentation. Defaults to 1.
        subset (str): 'all', 'base' (first half of the classes) or 'new'
            (the rest); labels are renumbered from 0. Defaults to 'all'.
        allow_fewer (bool): Whether a class may have fewer images than asked
            for. The public benchmark then takes them all, silently; here it
            is an error unless it is allowed. Defaults to False.
        unlabelled (bool | str): Train without labels: True: on the images of
            the train list; a folder: on the images in it and in the folders
            below, whatever they show. Defaults to False.
        protocol (dict, optional): Harder conditions, see :class:`DataProtocol`; a config's
            ``dataset.protocol`` gives it. Defaults to None.
        pipeline (Sequence): The transforms. Defaults to none.
        **kwargs: ``indices``, ``serialize_data`` (of lists that are not short),
            ``lazy_init`` of :class:`mmengine.dataset.BaseDataset`.

    Raises:
        TypeError, ValueError: If an argument has a wrong type or value, a
            class has fewer images than ``shots``, or the list is empty.
    """

    def __init__(
        self,
        benchmark: str | dict | Benchmark,
        split: str = 'train',
        shots: int | None = None,
        seed: int = 1,
        subset: str = 'all',
        allow_fewer: bool = False,
        unlabelled: bool | str = False,
        protocol: dict | DataProtocol | None = None,
        pipeline: Sequence = (),
        **kwargs,
    ) -> None:
        benchmark = as_benchmark(benchmark)
        if split not in Split._fields:
            raise ValueError(f'split must be one of {Split._fields}, got {split!r}.')
        if shots is not None:
            check_least('shots', shots, 1)
        check_least('seed', seed, 0)
        if benchmark.evaluation_only and split != 'test':
            raise ValueError(
                f'{benchmark.name} is for evaluation only: it has no '
                f'{split!r} list. Train on ImageNet, test on it.'
            )
        benchmark = with_classes(benchmark, self.load_classes(benchmark))
        check_unlabelled(unlabelled, split, shots, subset)
        self.protocol = read_protocol(protocol)
        check_split(self.protocol, split, shots, bool(unlabelled))
        self.benchmark = benchmark
        self.unlabelled = unlabelled
        self.split = split
        self.shots = shots
        self.seed = seed
        self.subset = subset
        self.allow_fewer = allow_fewer
        self.images: dict = {}  # image path -> (H, W, 3) uint8, BGR
        # in shared memory, so that persistent workers see the next epoch
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self.labels = subset_labels(range(len(benchmark.classes)), subset)
        classes = tuple(benchmark.classes[label] for label in self.labels)
        if len(classes) < 2:
            raise ValueError(
                f'{benchmark.name} has {len(classes)} class(es) in subset '
                f'{subset!r}; a classifier needs at least 2.'
            )
        # test_mode: a sample that fails is an error, never replaced
        super().__init__(ann_file='', classes=classes, pipeline=pipeline, test_mode=True, **kwargs)
        if split == 'test' and self.protocol.corruption:
            corrupt_before_packing(self.pipeline, self.protocol)

    def load_classes(self, benchmark: Benchmark) -> Sequence[str]:
        """Give the class names in label order."""
        return benchmark.classes

    def load_split(self) -> Split:
        """Give the benchmark's three lists."""
        raise NotImplementedError

    def draw(self, train: Sequence[Item], val: Sequence[Item], shots: int) -> tuple[list, list]:
        """Draw the few images per class."""
        return sample_few_shot(train, val, shots, self.seed)

    def image_path(self, item: Item) -> str:
        """Give the ``img_path`` of an item."""
        raise NotImplementedError

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch (from 0), which the augmentation depends on."""
        self._epoch.fill_(epoch)

    def load_data_list(self) -> list[dict]:
        """Draw, select the classes, and list the images of this split."""
        if self.unlabelled:
            return self._without_labels()
        train, val, test = self.load_split()
        # where the val list is the test list (ImageNet), only train is drawn
        drawn_val = [] if val is test or not self.protocol.validation else val
        if self.shots is not None and not self.benchmark.evaluation_only:
            pool = train if self.split == 'train' else drawn_val
            if not (self.allow_fewer or self.split == 'test'):
                check_enough(self.benchmark, self.labels, pool, self.shots, self.split)
            train, drawn_val = self.draw(train, drawn_val, self.shots)
        val = test if val is test else drawn_val
        # the first list defines the halves
        split = Split(*select_classes((train or test, train, val, test), self.subset)[1:])
        names = self.metainfo['classes']
        train, flipped = hardened(self.protocol, split.train, self.shots, self.seed, names)
        split = split._replace(train=train)
        items = getattr(split, self.split)
        if not items:
            raise ValueError(
                f'The {self.split} list of {self.benchmark.name} is empty (subset {self.subset!r}).'
                f'{self.benchmark.why_no_val if self.split == "val" else ""}'
            )
        # of train and val together: the same in both datasets and in the log
        said = self.protocol.said()
        self.draw_hash = draw_hash(split.train, [] if val is test else split.val, said)
        self._metainfo.update(
            benchmark=self.benchmark.name,
            shots=self.shots,
            seed=self.seed,
            subset=self.subset,
            draw_hash=self.draw_hash,
            data_protocol=self.protocol.noted(self.protocol_name),
            flipped=flipped,
        )
        # MMEngine ends the packing with a collection of all garbage: 0.2 s
        self.serialize_data &= len(items) >= PACKED
        return [dict(img_path=self.image_path(item), gt_label=item.label) for item in items]

    @property
    def protocol_name(self) -> str:
        """What tables call the conditions; empty for the benchmark's."""
        return self.protocol.name

    def _without_labels(self) -> list[dict]:
        """The images to learn from without labels."""
        if isinstance(self.unlabelled, str):
            source, names = f'the folder {self.unlabelled}', images_below(self.unlabelled)
            paths = [os.path.join(os.path.expanduser(self.unlabelled), name) for name in names]
        else:
            source, items = f'the train list of {self.benchmark.name}', self.load_split().train
            names, paths = [i.path for i in items], [self.image_path(i) for i in items]
        if not paths:
            raise ValueError(f'There is no image in {source}: give another one, or add images.')
        self.draw_hash = draw_hash([Item(name, 0, '') for name in names], [])
        self._metainfo.update(
            benchmark=self.benchmark.name,
            shots=None,
            seed=self.seed,
            subset=self.subset,
            draw_hash=self.draw_hash,
            unlabelled=source,
        )
        return [dict(img_path=path) for path in paths]

    def __getitems__(self, indices: Sequence[int]) -> list[dict]:
        """A batch, as torch's loaders ask for it: the random generators are kept once for all."""
        with generators_kept():
            return [self[i] for i in indices]

    def prepare_data(self, idx: int) -> dict:
        """Run the pipeline; randomness depends on seed, epoch and ``idx``."""
        idx = idx + len(self) if idx < 0 else idx
        info = self.get_data_info(idx)
        if info['img_path'] in self.images:
            # a copy: no transform can change the stored image
            info['img'] = self.images[info['img_path']].copy()
        with sample_randomness(self.seed, int(self._epoch), idx):
            data = self.pipeline(info)
        if data is None:
            raise ValueError(
                f'The pipeline gave nothing for {info["img_path"]!r} (a transform returned None).'
            )
        return data

    def extra_repr(self) -> list[str]:
        """What was drawn."""
        body = [f'Benchmark: \t{self.benchmark.name}, {self.split}, classes {self.subset}']
        if self.split != 'test':
            body.append(f'Shots, seed: \t{self.shots}, {self.seed}')
        return body


def check_files(paths: Sequence[str], source: str) -> None:
    """Refuse a list with missing files.

    Raises:
        FileNotFoundError: Names the first missing file, and how many there are.
    """
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(paths)} images are missing, the first is '
            f'{missing[0]!r}. {source}'
        )
