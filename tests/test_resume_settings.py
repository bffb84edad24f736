"""A resumed training is the one that was begun, or says what changed."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from helpers.engine_toy import toy_config
from helpers.tiny_benchmark import TINY, write_tiny_benchmark
from helpers.tools import ROOT, refused, tool
from mmengine.config import Config
from mmengine.dataset import RepeatDataset

from mmdpt.cli.train import allow_changes
from mmdpt.datasets import FewShotDataset
from mmdpt.engine import CheckpointError, image_digest, read_checkpoint
from mmdpt.engine.cli import build_runner
from mmdpt.engine.image_digest import image_digests
from mmdpt.engine.settings import changes, settings_hash, settings_of, spell

BASE = f'{ROOT}/configs/dpt/dpt_tiny_digits_16shot.py'
# setting -> another value; what was said before, what now
SHAPING = {
    'optim_wrapper.optimizer.lr': (0.02, 'optim_wrapper.optimizer.lr was 0.005, now 0.02'),
    'optim_wrapper.optimizer.type': ('SGD', "type was 'AdamW', now 'SGD'"),
    'optim_wrapper.optimizer.weight_decay': (0.1, 'weight_decay was not given, now 0.1'),
    'optim_wrapper.clip_grad': (dict(max_norm=1), 'clip_grad.max_norm was not given, now 1'),
    'param_scheduler.warmup_lr': (1e-4, 'param_scheduler.warmup_lr was 1e-05, now 0.0001'),
    'train_cfg.max_epochs': (7, 'train_cfg.max_epochs was 50, now 7'),
    'train_dataloader.batch_size': (16, 'train_dataloader.batch_size was 32, now 16'),
    'train_dataloader.sampler.shuffle': (False, 'sampler.shuffle was True, now False'),
    'train_dataloader.dataset.allow_fewer': (True, 'allow_fewer was not given, now True'),
    'train_dataloader.dataset.pipeline.3.degrees': (30, 'pipeline.3.degrees was 10, now 30'),
    'train_dataloader.dataset.pipeline.3.scale': (
        (0.5, 1.5),
        'pipeline.3.scale was [0.9, 1.1], now [0.5, 1.5]',
    ),
    'model.visual_prompt.top_k': (3, 'model.visual_prompt.top_k was 5, now 3'),
    'model.head.aux_weight': (0.5, 'model.head.aux_weight was 0.3, now 0.5'),
    'model.head.guided_epochs': (3, 'model.head.guided_epochs was 25, now 3'),
    'model.templates': ('a {}.', "model.templates was ['a photo of the digit {}.'], now ['a {}.']"),
    'model.precision': ('fp64', "model.precision was not given, now 'fp64'"),
    'data_preprocessor.mean': ([1.0, 2.0, 3.0], 'mean was [122.7709383, 116.7460125'),
    'custom_hooks': (
        [dict(type='CheckClassesHook'), dict(type='EMAHook')],
        "custom_hooks.1.type was not given, now 'EMAHook'",
    ),
    'default_hooks.epoch_seed': (None, "epoch_seed.type was 'EpochSeedHook', now not given"),
    'auto_scale_lr': (dict(enable=True), 'auto_scale_lr.enable was not given, now True'),
    'randomness.deterministic': (True, 'randomness.deterministic was False, now True'),
}
FREE = {
    'work_dir': 'elsewhere',
    'launcher': 'pytorch',
    'log_level': 'INFO',
    'log_processor.window_size': 3,
    'visualizer.vis_backends': [dict(type='TensorboardVisBackend')],
    'env_cfg.dist_cfg.timeout': 7,
    'val_dataloader.batch_size': 3,
    'test_dataloader.dataset.indices': 3,
    'test_evaluator.topk': (1, 2),
    'train_cfg.val_interval': 1,
    'train_dataloader.num_workers': 2,
    'train_dataloader.persistent_workers': True,
    'train_dataloader.pin_memory': True,
    'default_hooks.logger.interval': 1,
    'default_hooks.checkpoint.interval': 5,
    'default_hooks.checkpoint.max_keep_ckpts': 9,
    'default_hooks.report.enable': False,
    'default_hooks.visualization.enable': True,
    'train_dataloader.dataset.data_root': '/moved',
    'model.classes.data_root': '/moved',
    'model.pretrained': '/moved/clip.pt',
    'train_dataloader.dataset.cache_images': False,
    'load_from': 'a.pth',
    'resume': True,
}


class Loader:
    """As much of a Runner as the settings are read from."""

    def __init__(self, cfg):
        self.cfg = cfg
        self.train_dataloader = type('', (), dict(dataset=None))


@pytest.fixture
def settings():
    """The settings of the built-in example, with options."""

    def read(**options):
        cfg = Config.fromfile(BASE)
        cfg.model.classes = dict(benchmark='Digits')
        cfg.merge_from_dict(options)
        return settings_of(Loader(cfg))

    return read


@pytest.mark.parametrize('name', SHAPING)
def test_what_shapes_a_training(name, settings):
    """Both values are told, and the hash differs."""
    value, words = SHAPING[name]
    before, now = settings(), settings(**{name: value})
    assert words in spell(changes(before, now))
    assert settings_hash(before) != settings_hash(now)
    assert changes(now, now) == changes(before, settings()) == {}


@pytest.mark.parametrize('name', FREE)
def test_what_may_change(name, settings):
    before, now = settings(), settings(**{name: FREE[name]})
    assert changes(before, now) == {} and settings_hash(before) == settings_hash(now)


def test_long_values_are_shown_where_they_differ():
    one, two = list(range(500)), [*range(499), -1]
    assert (
        spell(changes(dict(a=one), dict(a=two))) == 'a was ...497, 498, 499], now ...497, 498, -1]'
    )


# A training of the toy.


def train(work_dir, resume=None, allow=False, epochs=4, options=(), **more):
    cfg = toy_config(work_dir, epochs=epochs, report=True)
    cfg.default_hooks.checkpoint.max_keep_ckpts = -1
    cfg.merge_from_dict({**dict(options), **more})
    cfg.experiment_name = f'{work_dir} {resume} {allow} {options}'
    if resume:
        cfg.resume, cfg.load_from = True, str(resume)
    runner = build_runner(cfg)
    if allow:
        allow_changes(runner)
    runner.train()
    return runner


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    train(folder)
    return folder


@pytest.mark.parametrize(
    'options, words',
    [
        ({'optim_wrapper.optimizer.lr': 0.5}, 'optim_wrapper.optimizer.lr was 0.1, now 0.5'),
        ({'train_dataloader.batch_size': 4}, 'train_dataloader.batch_size was 8, now 4'),
        ({'model.noise': 0.1}, 'model.noise was not given, now 0.1'),
        ({'train_cfg.max_epochs': 5}, 'train_cfg.max_epochs was 4, now 5'),
    ],
)
def test_another_setting_is_refused(trained, tmp_path, options, words):
    with pytest.raises(CheckpointError, match='cannot resume: .*other settings') as error:
        train(tmp_path, trained / 'epoch_2.pth', options=options)
    assert words in str(error.value) and '--resume-with-changes' in str(error.value)
    assert not list(tmp_path.glob('*.pth'))


def test_another_number_of_processes_is_refused(trained, tmp_path, monkeypatch):
    monkeypatch.setattr('mmdpt.engine.settings.get_world_size', lambda: 2)
    with pytest.raises(CheckpointError, match='settings: processes was 1, now 2. Give'):
        train(tmp_path, trained / 'epoch_2.pth')


def test_changed_rate_and_batch_come_into_force(trained, tmp_path):
    """Not the saved ones; in the epoch that follows, and noted."""
    options = {'optim_wrapper.optimizer.lr': 0.5, 'train_dataloader.batch_size': 4}
    runner = train(tmp_path, trained / 'epoch_2.pth', allow=True, options=options)
    whole = train(tmp_path / 'whole', options=options)
    rates = [r.message_hub.log_scalars['train/lr'].data[0][-1] for r in (runner, whole)]
    assert rates[0] == rates[1] and rates[0] > 0.05
    first = runner.message_hub.log_scalars['train/lr'].data[0][0]
    assert first == 0.5  # the third epoch, the first after the warm-up
    assert (runner.epoch, runner.iter) == (whole.epoch, whole.iter) == (4, 24)
    noted = [
        dict(
            epoch=2,
            settings={
                'optim_wrapper.optimizer.lr': [0.1, 0.5],
                'train_dataloader.batch_size': [8, 4],
            },
        )
    ]
    checkpoint = read_checkpoint(str(tmp_path / 'epoch_4.pth'))
    assert checkpoint['meta']['mmdpt']['resumed_with_changes'] == noted
    assert json.loads((tmp_path / 'results.json').read_text())['resumed_with_changes'] == noted
    # and again, without more changes; then with another
    again = train(tmp_path / 'again', tmp_path / 'epoch_3.pth', options=options)
    assert (
        again.hooks
        and json.loads((tmp_path / 'again' / 'results.json').read_text())['resumed_with_changes']
        == noted
    )
    more = {**options, 'model.noise': 0.1}
    train(tmp_path / 'more', tmp_path / 'epoch_3.pth', allow=True, options=more)
    found = json.loads((tmp_path / 'more' / 'results.json').read_text())['resumed_with_changes']
    assert found == [*noted, dict(epoch=3, settings={'model.noise': ['not given', 0.1]})]
    assert 'resumed_with_changes' not in json.loads((trained / 'results.json').read_text())


def test_longer_and_other_images(trained, tmp_path):
    """More epochs follow the new schedule; another draw is noted."""
    options = {'train_cfg.max_epochs': 6, 'train_dataloader.dataset.draw_hash': 'draw-2'}
    runner = train(tmp_path, trained / 'epoch_4.pth', allow=True, options=options)
    whole = train(tmp_path / 'whole', options=options)
    rates = [r.message_hub.log_scalars['train/lr'].data[0][-6:] for r in (runner, whole)]
    assert runner.epoch == 6 and np.array_equal(*rates)
    noted = json.loads((tmp_path / 'results.json').read_text())['resumed_with_changes'][0]
    assert noted['settings']['draw_hash'] == ['draw-1', 'draw-2'] and noted['epoch'] == 4


@pytest.mark.parametrize(
    'options, words',
    [
        ({'optim_wrapper.optimizer.type': 'ASGD'}, 'the state of one optimizer is no other'),
        (
            {'param_scheduler': dict(type='ConstantLR', _delete_=True)},
            'only the schedule ConstantWarmupCosineLR can be continued',
        ),
        ({'optim_wrapper.paramwise_cfg': dict(_delete_=True)}, 'groups of parameters'),
    ],
)
def test_what_cannot_come_into_force_is_refused(trained, tmp_path, options, words):
    """Never trained with the old rate under the name of the new one."""
    if 'optim_wrapper.optimizer.type' in options:
        options = {'optim_wrapper.optimizer': dict(_delete_=True, type='ASGD', lr=0.1)}
    with pytest.raises(CheckpointError, match=words) as error:
        train(tmp_path, trained / 'epoch_2.pth', allow=True, options=options)
    assert 'load_from=CHECKPOINT' in str(error.value)


@pytest.mark.parametrize('wrong', [dict(optimizer=[1]), dict(param_schedulers=[1])])
def test_state_is_checked_before_changes_go_into_it(trained, tmp_path, wrong):
    checkpoint = torch.load(trained / 'epoch_2.pth', weights_only=True)
    torch.save({**checkpoint, **wrong}, tmp_path / 'epoch_2.pth')
    options = {'optim_wrapper.optimizer.lr': 0.5}
    with pytest.raises(CheckpointError, match=f'cannot resume: .*{next(iter(wrong))}'):
        train(tmp_path / 'run', tmp_path / 'epoch_2.pth', allow=True, options=options)


def test_another_seed_stays_refused(trained, tmp_path):
    """MMEngine would take the checkpoint's."""
    with pytest.raises(CheckpointError, match='seed 1, now it is 7'):
        train(tmp_path, trained / 'epoch_2.pth', allow=True, options={'randomness.seed': 7})


def spoilt(trained, tmp_path, change):
    checkpoint = torch.load(trained / 'epoch_2.pth', weights_only=True)
    change(checkpoint['meta']['mmdpt'])
    torch.save(checkpoint, tmp_path / 'epoch_2.pth')
    return tmp_path / 'epoch_2.pth'


def test_checkpoints_of_before_resume(trained, tmp_path, caplog):
    """With a line that says what was not compared; the draw still is."""

    def forget(entry):
        del entry['settings'], entry['settings_hash']

    path = spoilt(trained, tmp_path, forget)
    log = train(tmp_path / 'run', path, options={'log_level': 'WARNING'}).log_dir
    text = ''.join(open(f'{log}/{f}').read() for f in os.listdir(log) if f.endswith('.log'))
    assert 'has no list of settings (an older mmdpt wrote it): only the draw' in text
    wanted, found = (read_checkpoint(f'{d}/epoch_4.pth') for d in (trained, tmp_path / 'run'))
    assert all(torch.equal(found['state_dict'][n], t) for n, t in wanted['state_dict'].items())
    with pytest.raises(CheckpointError, match='other images'):
        train(tmp_path, path, options={'train_dataloader.dataset.draw_hash': 'draw-2'})


@pytest.mark.parametrize(
    'change',
    [
        lambda e: e['settings'].update({'optim_wrapper.optimizer.lr': 0.5}),
        lambda e: e.update(settings=[1]),
        lambda e: e.update(settings_hash=None),
        lambda e: e.pop('settings_hash'),
        lambda e: e['settings'].update(a=torch.zeros(1)),
        lambda e: e.update(resumed_with_changes='none'),
    ],
)
def test_a_damaged_list_is_refused(trained, tmp_path, change):
    path = spoilt(trained, tmp_path, change)
    with pytest.raises(CheckpointError, match='list of .* is damaged|holds a tensor'):
        train(tmp_path, path)


def test_command_line(config, capsys):
    """--resume-with-changes needs no --resume; the config that is kept does not have it."""
    tool('train', config, '--work-dir', 'run', '--cfg-options', 'train_cfg.max_epochs=2')
    half = ['--cfg-options', 'train_dataloader.batch_size=4', 'train_cfg.max_epochs=2']
    shutil.copy('run/epoch_1.pth', 'first.pth')
    line = refused(capsys, 'train', config, '--work-dir', 'run', '--resume', 'first.pth', *half)
    assert 'train_dataloader.batch_size was 8, now 4' in line
    changing = ['--resume-with-changes', *half]
    tool('train', config, '--work-dir', 'run', '--resume', 'first.pth', *changing)
    noted = json.load(open('run/results.json'))['resumed_with_changes']
    assert noted == [dict(epoch=1, settings={'train_dataloader.batch_size': [8, 4]})]
    kept = open(f'run/{config.name}').read()
    assert 'changes' not in kept
    stock = ['default_hooks.checkpoint.type=CheckpointHook']
    line = refused(capsys, 'train', config, '--work-dir', 'new', *changing, *stock)
    assert '--resume-with-changes needs default_hooks.checkpoint.type=PromptCheckpointHook' in line


# Images.


@pytest.fixture
def tiny(tmp_path):
    """Digests of the 10 training images of each class."""
    root = write_tiny_benchmark(tmp_path)

    def digests(folder=root, wrap=lambda dataset: dataset):
        options = dict(split='train', shots=5, cache_images=False)  # nor decoded
        return image_digests(wrap(FewShotDataset(TINY, str(folder), **options)))

    return root, digests


def names(before, now):
    return list(changes(before, now))


def test_overwritten_images_are_noticed(tiny):
    """Another size; the same size; and the same size and time."""
    root, digests = tiny
    before = digests()
    assert names(before, digests()) == [] and len(before) == 3
    path = FewShotDataset(TINY, str(root), 'train', shots=5).get_data_info(3)['img_path']
    intact, stat = open(path, 'rb').read(), os.stat(path)
    with open(path, 'ab') as file:
        file.write(b'more')
    assert set(names(before, digests())) == {f'images.{n}' for n in ('sizes', 'times', 'contents')}
    with open(path, 'wb') as file:
        file.write(intact[:-30] + b'!' + intact[-29:])
    assert set(names(before, digests())) == {'images.times', 'images.contents'}
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert names(before, digests()) == ['images.contents']
    with open(path, 'wb') as file:
        file.write(intact)
    assert names(before, digests()) == []  # the same content, a new time


def test_moved_images_are_the_same(tiny, tmp_path):
    """A copy of the data has other times."""
    root, digests = tiny
    before = digests()
    shutil.copytree(root / 'tiny', tmp_path / 'moved' / 'tiny', copy_function=shutil.copyfile)
    now = digests(tmp_path / 'moved')
    assert before['images.times'] != now['images.times'] and names(before, now) == []


def test_many_bytes_are_judged_by_size_and_time(tiny, monkeypatch):
    root, digests = tiny
    monkeypatch.setattr(image_digest, 'READ_ALL', 100)
    before = digests()
    assert before['images.contents'] is None and names(before, digests()) == []
    path = FewShotDataset(TINY, str(root), 'train', shots=5).get_data_info(0)['img_path']
    os.utime(path)
    assert names(before, digests()) == ['images.times']


def test_wrapped_many_and_strange_images(tiny, monkeypatch):
    root, digests = tiny
    assert digests(wrap=lambda d: RepeatDataset(d, 3)) == digests()
    whole = digests()
    monkeypatch.setattr(image_digest, 'LOOK_AT', 5)
    assert digests() != whole  # some of them
    dataset = FewShotDataset(TINY, str(root), 'train', shots=5)
    before, path = image_digests(dataset), dataset.get_data_info(0)['img_path']
    dataset.images.clear()
    os.remove(path)
    os.mkfifo(path)  # nothing waits for a writer
    assert image_digests(dataset)['images.sizes'] != before['images.sizes']
    assert image_digests([1, 2]) == {}
