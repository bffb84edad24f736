"""Datasets on disk: the public benchmarks in their layouts, your own data."""

import os.path as osp
from collections.abc import Sequence
from os import PathLike

from mmengine.logging import MMLogger
from mmpretrain.registry import DATASETS

from .base import BaseFewShotDataset, check_files
from .benchmarks import Benchmark
from .descriptions import with_classes
from .drawn_files import read_draw
from .layouts import get_layout
from .shared import REFUSAL
from .split_files import Item, Split
from .transforms import LoadPILImage, read_image


@DATASETS.register_module()
class FewShotDataset(BaseFewShotDataset):
    """A benchmark on disk, such as ``data_root/folder/{images/, split.json}``.

    Args:
        benchmark (str | dict | Benchmark): The benchmark; its name; or, for
            your own data, the arguments of :func:`own_benchmark`. A config's
            ``dataset`` gives it, see :func:`share_dataset`.
        data_root (str): The folder that holds the benchmarks' folders; for
            your own data the folder or file itself. Defaults to 'data'.
        cache_images (bool, optional): Whether to decode all images at the
            start and keep them (a forked worker shares them). None does so
            for few-shot training, up to 1 GiB. Defaults to None.
        draws (str, optional): Folder of files that hold the draws, under the
            benchmark's folder, such as 'split_fewshot' with 2SFS's; see :func:`read_draw`.
            None draws by ``shots`` and ``seed``.
        **kwargs: ``split``, ``shots``, ``seed``, ``subset``, ``allow_fewer``,
            ``unlabelled``, ``pipeline``, see :class:`BaseFewShotDataset`.

    Raises:
        FileNotFoundError: If a folder, the split file or images are missing;
            the message says what to download and where it goes.
        ValueError: If the split file is malformed, its classes differ from
            the benchmark's, or an image that is kept does not decode.
    """

    cache_bytes = 2**30  # decoded images kept in memory by default, at most

    def __init__(
        self,
        benchmark: None | str | dict | Benchmark = None,
        data_root: str = 'data',
        cache_images: bool | None = None,
        draws: str | None = None,
        **kwargs,
    ) -> None:
        if benchmark is None:
            raise ValueError(f'FewShotDataset needs a benchmark. {REFUSAL}')
        if not isinstance(data_root, (str, PathLike)):
            raise TypeError(f'data_root must be a folder, got {data_root!r}.')
        self.cache_images, self.draws = cache_images, draws
        self._root = osp.expanduser(data_root)
        super().__init__(benchmark, data_root=self._root, **kwargs)

    @property
    def folder(self) -> str:
        """The benchmark's folder."""
        return self.layout.folder

    def load_classes(self, benchmark: Benchmark) -> Sequence[str]:
        """The class names, which may have to be read from the data."""
        self.layout = get_layout(benchmark, self._root)
        names = self.layout.class_names()
        self.layout.benchmark = with_classes(benchmark, names)
        return names

    def load_split(self) -> Split:
        """Read the lists and check them against the benchmark."""
        return self.layout.read()

    def draw(self, train: Sequence[Item], val: Sequence[Item], shots: int) -> tuple[list, list]:
        """Draw, or read what others have drawn."""
        if self.draws is None:
            return super().draw(train, val, shots)
        benchmark = self.layout.benchmark
        prefixes = [f'{benchmark.folder}/{benchmark.image_dir}'.strip('/'), benchmark.image_dir]
        lists = dict(train=train, val=val) if val else dict(train=train)
        folder = osp.join(self.layout.folder, self.draws)
        given = [p for p in prefixes if p]
        drawn = read_draw(folder, shots, self.seed, lists, given, self.allow_fewer)
        return drawn['train'], drawn.get('val', [])

    @property
    def protocol_name(self) -> str:
        """The conditions, and whose draw it is."""
        parts = [self.protocol.name, f'draws of {self.draws}' if self.draws else '']
        return ', '.join(filter(None, parts))

    def image_path(self, item: Item) -> str:
        """Where the image of an item is."""
        return osp.join(self.layout.images, item.path)

    def full_init(self) -> None:
        """Load the list; check that its files exist; decode what is kept."""
        if self._fully_initialized:
            return
        super().full_init()
        paths = [self.get_data_info(i)['img_path'] for i in range(len(self))]
        check_files(paths, self.layout.remedy())
        if self.split == 'train':
            self.layout.check_leaks(self.protocol.validation)
        if self.cache_images or (
            self.cache_images is None and self.split == 'train' and self.shots
        ):
            self._keep_images(paths)

    def _keep_images(self, paths) -> None:
        size, read = 0, self._reader()
        for count, path in enumerate(paths, 1):
            self.images[path] = read(path)
            size += self.images[path].nbytes
            # a few dozen show how much all will take
            expected = size * len(paths) / count if count >= 50 else size
            if expected > self.cache_bytes and self.cache_images is None:
                self.images = {}
                MMLogger.get_current_instance().info(
                    f'{self.benchmark.name}: the {len(paths)} training images '
                    f'take more than {self.cache_bytes >> 20} MiB; they are decoded '
                    'in every epoch (cache_images=True keeps them all), and '
                    'damaged ones are found only then: tools/check_dataset.py '
                    '--deep finds them before.'
                )
                return

    def _reader(self):
        """As the pipeline would read, where its first step is our loader."""
        steps = self.pipeline.transforms
        loads = steps and isinstance(steps[0], LoadPILImage)
        return steps[0].read if loads else read_image
