"""Images that are kept and augmented in batches: the usual views, the usual training."""

import numpy as np
import pytest
import torch
from helpers.short_runs import leaf, short_config, train
from helpers.tiny_benchmark import TINY, write_tiny_benchmark
from mmengine.config import Config
from mmpretrain.datasets import PackInputs
from PIL import Image

from mmdpt.datasets import FewShotDataset
from mmdpt.datasets.drawn_views import DrawnPipeline, made
from mmdpt.engine.options import check_options

ON = 'default_hooks.device_images.enable'
CROP = dict(
    type='RandomResizedCrop',
    scale=(24, 20),
    crop_ratio_range=(0.08, 1.0),
    interpolation='bicubic',
    backend='pillow',
)
FLIP = dict(type='RandomFlip', prob=0.5, direction='horizontal')
AFFINE = dict(
    type='torchvision/RandomAffine',
    degrees=20,
    translate=(0.1, 0.1),
    shear=5,
    interpolation='bilinear',
)
PIL, ARRAY = dict(type='NumpyToPIL', to_rgb=True), dict(type='PILToNumpy', to_bgr=True)
SQUARE = dict(type='Resize', scale=(30, 26), interpolation='bicubic', backend='pillow')
SECOND = dict(
    type='KeyMapper',
    remapping=dict(img='img2'),
    transforms=[dict(step, type=f'mmpretrain.{step["type"]}') for step in (CROP, FLIP)],
)
PACK = dict(type='PackInputs', algorithm_keys=['img2'])
PIPELINES = dict(
    published=[CROP, FLIP],
    two_views=[SECOND, CROP, FLIP],
    affine=[SQUARE, PIL, AFFINE, ARRAY],
    no_swap=[SQUARE, dict(type='NumpyToPIL'), AFFINE, FLIP, dict(type='PILToNumpy')],
    all=[CROP, dict(FLIP, prob=[0.3, 0.3, 0.3], direction=['horizontal', 'vertical', 'diagonal'])]
    + [PIL, AFFINE, ARRAY, dict(CROP, scale=9)],
    none=[SQUARE],
)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Images of differing sizes."""
    folder = write_tiny_benchmark(tmp_path_factory.mktemp('data'))
    random = np.random.RandomState(0)
    for path in sorted((folder / 'tiny' / 'images').rglob('*.png')):
        shape = (*random.randint(10, 90, 2), 3)
        Image.fromarray(random.randint(0, 256, shape, np.uint8)).save(path)
    return folder


def dataset(root, steps, pack=PACK, **options):
    pipeline = [dict(type='LoadPILImage'), *steps, pack]
    data = FewShotDataset(TINY, str(root), shots=4, seed=3, pipeline=pipeline, **options)
    data.full_init()
    return data


def drawing(data):
    """What the hook does: the kept images, and the steps of each view."""
    drawn = DrawnPipeline(data.pipeline)
    pictures = [torch.from_numpy(drawn.keep(data.get_data_info(i))) for i in range(len(data))]
    data.pipeline = drawn
    return pictures, drawn.plan()


@pytest.mark.parametrize('steps', PIPELINES.values(), ids=PIPELINES)
@pytest.mark.parametrize('cached', [True, False])
def test_views_are_those_of_the_pipeline(root, steps, cached):
    usual, data = (dataset(root, steps, cache_images=cached) for _ in range(2))
    pictures, plan = drawing(data)
    for epoch in range(3):
        usual.set_epoch(epoch)
        data.set_epoch(epoch)
        wanted, drawn = [usual[i] for i in range(12)], [data[i] for i in range(12)]
        assert drawn[0]['inputs'].dim() == 1
        batch = made(pictures, plan['img'], torch.stack([d['inputs'] for d in drawn]))
        assert batch.dtype == torch.uint8 and batch.is_contiguous()
        assert torch.equal(batch, torch.stack([w['inputs'] for w in wanted]))
        samples = [(w['data_samples'], d['data_samples']) for w, d in zip(wanted, drawn)]
        for one, other in samples:
            assert one.metainfo == other.metainfo
            assert one.gt_label == other.gt_label
        if 'img2' in plan:
            second = made(pictures, plan['img2'], torch.stack([d.img2 for _, d in samples]))
            assert not torch.equal(second, batch)
            views = [PackInputs.format_input(w.img2) for w, _ in samples]
            assert torch.equal(second, torch.stack(views))
    assert repr(data.pipeline) == repr(usual.pipeline)


def learnt(runner):
    return {name: tensor.clone() for name, tensor in runner.model.state_dict().items()}


def check_equal(found, wanted):
    assert found.keys() == wanted.keys() and found
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor), name


FEATURES = dict(type='FeatureTrainLoop', max_epochs=2, views=2)


@pytest.mark.parametrize(
    'method, options',
    [
        ('dpt', {}),
        ('dpt', dict(train_dataloader__num_workers=2)),
        ('coprompt', {}),  # second views
        ('skiptuning', dict(train_dataloader__batch_size=2)),  # kept states
        ('coop', dict(train_cfg=FEATURES)),
    ],
    ids=['dpt', 'workers', 'coprompt', 'skiptuning', 'features'],
)
def test_trainings_are_the_usual_ones_bit_by_bit(method, options, tmp_path):
    usual = train(short_config(method, tmp_path / 'usual', 1, **options))
    cfg = short_config(method, tmp_path / 'device', 1, **options)
    cfg.merge_from_dict({ON: True})
    runner = train(cfg)
    check_equal(learnt(runner), learnt(usual))
    log = next((tmp_path / 'device').rglob('*.log')).read_text()
    assert '20 training images, 0.1 MiB, are kept on cpu and augmented there' in log


@pytest.mark.parametrize('before', [True, False])
def test_resumes_bit_by_bit(before, tmp_path):
    """Switched on all the time, or only for the rest: the pixels are the same."""
    whole = train(short_config('dpt', tmp_path / 'whole', **{ON: before}))
    cfg = short_config('dpt', tmp_path / 'rest', resume=True, **{ON: True})
    cfg.load_from = str(tmp_path / 'whole' / 'epoch_1.pth')
    runner = train(cfg)
    assert runner.epoch == 2
    check_equal(learnt(runner), learnt(whole))


def test_one_option_switches_it_on():
    check_options(Config.fromfile(leaf('dpt')), {ON: True})


@pytest.mark.parametrize(
    'steps, message',
    [
        ([dict(type='torchvision/RandAugment')], 'does not know the transform TorchVisionRandAugm'),
        ([CROP, SQUARE], 'does not know the transform Resize'),
        ([dict(CROP, backend='cv2')], "like Pillow's bicubic .* set backend='pillow'"),
        ([dict(AFFINE, interpolation='nearest')], "bilinearly.*set interpolation='bilinear'"),
        ([FLIP], 'differ in size .* begin with RandomResizedCrop'),
        ([FLIP, CROP], 'differ in size'),
    ],
)
def test_refuses_what_it_cannot_do(root, steps, message):
    with pytest.raises(ValueError, match=message) as error:
        drawing(dataset(root, steps))
    assert 'leave DeviceImagesHook out' in str(error.value)


def test_refuses_a_pipeline_without_packing(root):
    with pytest.raises(ValueError, match='needs PackInputs at the end'):
        drawing(dataset(root, [CROP], pack=FLIP))


def test_says_the_memory_before_it_starts(tmp_path):
    scale = 2 * 256
    cfg = short_config('dpt', tmp_path, **{ON: True})
    cfg.train_dataloader.dataset.shots = 16
    cfg.train_dataloader.dataset.pipeline[1].scale = scale
    cfg.default_hooks.device_images.max_mib = 100
    with pytest.raises(ValueError, match='the 160 training images take about 120 MiB, more than'):
        train(cfg)
    assert not [*tmp_path.rglob('*.pth')]


def test_refuses_two_datasets(tmp_path):
    cfg = short_config('dpt', tmp_path, **{ON: True})
    data = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[data, data])
    cfg.train_dataloader.pop('batch_sampler')
    with pytest.raises(ValueError, match='needs one dataset .* ConcatDataset, DigitsDataset'):
        train(cfg)


def test_a_repeated_dataset_is_kept_once(tmp_path):
    cfg = short_config('dpt', tmp_path, epochs=1, **{ON: True})
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=cfg.train_dataloader.dataset
    )
    runner = train(cfg)
    assert '20 training images' in next(tmp_path.rglob('*.log')).read_text()
    assert runner.iter == 4
