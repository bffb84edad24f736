"""Datasets in the CoOp benchmark's layout: an image folder, a split file."""
import os.path as osp
from os import PathLike
from typing import Optional, Union

from mmengine.logging import MMLogger
from mmpretrain.registry import DATASETS

from .base import BaseFewShotDataset, check_files
from .benchmarks import Benchmark
from .split_files import Item, Split, check_classes, read_split
from .transforms import read_image

CACHE_BYTES = 2**30  # decoded images kept in memory by default, at most


@DATASETS.register_module()
class FewShotDataset(BaseFewShotDataset):
    """A benchmark on disk: ``data_root/folder/{image_dir/, split_file}``.

    Args:
        benchmark (str | Benchmark): The benchmark or its name.
        data_root (str): The folder that holds the benchmarks' folders.
            Defaults to 'data'.
        cache_images (bool, optional): Whether to decode all images at the
            start and keep them (a forked worker shares them). None does so
            for few-shot training, up to 1 GiB. Defaults to None.
        **kwargs: ``split``, ``shots``, ``seed``, ``subset``, ``allow_fewer``,
            ``pipeline``, see :class:`BaseFewShotDataset`.

    Raises:
        FileNotFoundError: If a folder, the split file or images are missing;
            the message says what to download and where it goes.
        ValueError: If the split file is malformed, its classes differ from
            the benchmark's, or an image that is kept does not decode.
    """

    def __init__(self,
                 benchmark: Union[str, Benchmark],
                 data_root: str = 'data',
                 cache_images: Optional[bool] = None,
                 **kwargs) -> None:
        if not isinstance(data_root, (str, PathLike)):
            raise TypeError(f'data_root must be a folder, got {data_root!r}.')
        self.cache_images = cache_images
        super().__init__(
            benchmark, data_root=osp.expanduser(data_root), **kwargs)

    @property
    def folder(self) -> str:
        """The benchmark's folder."""
        return osp.join(self.data_root, self.benchmark.folder)

    def load_split(self) -> Split:
        """Read the split file and check it against the benchmark."""
        benchmark = self.benchmark
        images = osp.join(self.folder, benchmark.image_dir)
        split_file = osp.join(self.folder, benchmark.split_file)
        for kind, path, exists in (('folder', self.folder,
                                    osp.isdir(self.folder)),
                                   ('image folder', images, osp.isdir(images)),
                                   ('split file', split_file,
                                    osp.isfile(split_file))):
            if not exists:
                raise FileNotFoundError(
                    f'{benchmark.name}: the {kind} {path!r} does not exist. '
                    f'{self._remedy()}')
        split = read_split(split_file)
        check_classes(split, split_file, benchmark.classes)
        return split

    def _remedy(self) -> str:
        wanted = osp.join(self.folder, '')
        return (f'Wanted: {wanted}{self.benchmark.image_dir}/ and '
                f'{wanted}{self.benchmark.split_file}. '
                f'{self.benchmark.source} If they are elsewhere, set data_root of '
                'the train, val and test dataset.').replace('  ', ' ')

    def image_path(self, item: Item) -> str:
        """Where the image of an item is."""
        return osp.join(self.folder, self.benchmark.image_dir, item.path)

    def full_init(self) -> None:
        """Load the list; check that its files exist; decode what is kept."""
        if self._fully_initialized:
            return
        super().full_init()
        paths = [self.get_data_info(i)['img_path'] for i in range(len(self))]
        check_files(paths, self._remedy())
        if self.cache_images or (self.cache_images is None
                                 and self.split == 'train' and self.shots):
            self._keep_images(paths)

    def _keep_images(self, paths) -> None:
        size = 0
        for path in paths:
            self.images[path] = read_image(path)
            size += self.images[path].nbytes
            if size > CACHE_BYTES and self.cache_images is None:
                self.images = {}
                MMLogger.get_current_instance().info(
                    f'{self.benchmark.name}: the {len(paths)} training images '
                    f'take more than {CACHE_BYTES >> 20} MiB; they are decoded '
                    'in every epoch (cache_images=True keeps them all).')
                return
