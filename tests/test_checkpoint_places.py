"""Places that a checkpoint names are never opened, written or removed on resuming."""

import os
import time

import pytest
import torch
from helpers.engine_toy import hook, toy_config
from mmengine.runner import Runner

from mmdpt.engine import CheckpointError, PromptCheckpointHook

BEST = dict(save_best='accuracy/top1', rule='greater', max_keep_ckpts=2)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The folder of a training of three epochs that keeps its best one."""
    folder = tmp_path_factory.mktemp('trained')
    run(folder, 'first')
    return folder


def run(folder, name, resume=None):
    cfg = toy_config(folder / 'work', epochs=3, noise=0.3)
    cfg.default_hooks.checkpoint.update(BEST)
    cfg.experiment_name = f'{name} {folder}'
    cfg.resume, cfg.load_from = bool(resume), resume and str(resume)
    runner = Runner.from_cfg(cfg)
    runner.register_hook(hook('LOWEST', before_train_epoch=judge))
    runner.train()
    return runner


def judge(self, runner):
    """What a validation of the last epoch would lead to."""
    if runner.epoch:
        saver = next(h for h in runner.hooks if isinstance(h, PromptCheckpointHook))
        saver.after_val_epoch(runner, {'accuracy/top1': 10.0 * runner.epoch})


PLACES = {
    'absolute': '{out}/precious.pth',
    'relative': '../precious.pth',
    'from the folder': '{work}/../precious.pth',
    'doubled': '{work}//..//precious.pth',
    'named best': '{out}/best_mine.pth',
    'named best, relative': '../best_mine.pth',
    'a folder': '{out}',
    'its own folder': '{work}',
    'a folder of the name': '{work}/best_folder.pth',
    'home': '~/precious.pth',
    'variable': '$HOME/precious.pth',
    'url': 'file://{out}/precious.pth',
    'storage': 's3://bucket/best_x.pth',
    'newline': '{out}/precious.pth\n',
    'nul': '{out}/best_a\0.pth',
    'backslash': '..\\best_mine.pth',
    'a checkpoint': '{work}/epoch_2.pth',
    'results': '{work}/notes.txt',
    'hidden': '{work}/.best_x.pth',
    'link': '{work}/link.pth',
    'long': 'best_' + 'a' * 10_000 + '.pth',
    'number': 7,
    'bytes': b'precious.pth',
    'list': ['{out}/precious.pth'],
    'dict': dict(path='precious.pth'),
    'empty': '',
}
STEPS = {
    'text': ['../precious'],
    'up': ['../../precious'],
    'negative': [-1],
    'later': [10**6],
    'fraction': [1.0],
    'true': [True],
    'no list': '12',
    'nested': [[1]],
    'many': list(range(10**5)),
}
OTHERS = {
    'no hub': lambda c: c.pop('message_hub'),
    'hub is a list': lambda c: c.update(message_hub=[1]),
    'runtime_info is a list': lambda c: c['message_hub'].update(runtime_info=[1]),
    'keys are a list': lambda c: c['message_hub'].update(resumed_keys=[1]),
    'no epoch': lambda c: c['meta'].pop('epoch'),
    'epoch is text': lambda c: c['meta'].update(epoch='1'),
    'epoch is negative': lambda c: c['meta'].update(epoch=-1),
    'iter is huge': lambda c: c['meta'].update(iter=10**30),
    'seed is text': lambda c: c['meta'].update(seed='1'),
    'seconds are infinite': lambda c: info(c).update(train_seconds=float('inf')),
    'score is text': lambda c: info(c).update(best_score='high'),
    'optimizer is a list': lambda c: c.update(optimizer=[1]),
    'schedulers are text': lambda c: c.update(param_schedulers='abc'),
    'scheduler sets a method': lambda c: c['param_schedulers'][0].update(step='evil'),
    'classes are a number': lambda c: c['meta'].update(dataset_meta=dict(classes=5)),
    'code': lambda c: c['meta'].update(config='import os'),
}


def info(checkpoint):
    return checkpoint['message_hub']['runtime_info']


def changed(trained, tmp_path, change):
    """A copy of the training, whose last checkpoint is changed, and files to lose."""
    import shutil

    shutil.copytree(trained / 'work', tmp_path / 'work')
    for name in ('precious.pth', 'best_mine.pth', 'work/notes.txt', 'work/.best_x.pth'):
        (tmp_path / name).write_text('mine')
    (tmp_path / 'work' / 'best_folder.pth').mkdir()
    (tmp_path / 'work' / 'best_folder.pth' / 'inside').write_text('mine')
    os.symlink(tmp_path / 'precious.pth', tmp_path / 'work' / 'link.pth')
    file = tmp_path / 'work' / 'epoch_2.pth'
    checkpoint = torch.load(file, weights_only=True)
    change(checkpoint)
    evil = tmp_path / 'evil.pth'
    torch.save(checkpoint, evil)
    return evil


def all_there(tmp_path):
    return all(
        (tmp_path / name).read_text() == 'mine'
        for name in (
            'precious.pth',
            'best_mine.pth',
            'work/notes.txt',
            'work/.best_x.pth',
            'work/best_folder.pth/inside',
            'work/link.pth',
        )
    )


@pytest.mark.parametrize('case', PLACES)
def test_places(trained, tmp_path, monkeypatch, case):
    monkeypatch.chdir(trained / 'work')
    place = PLACES[case]
    if isinstance(place, str):
        place = place.format(out=tmp_path, work=tmp_path / 'work')
    # a score that the next epoch beats: then the former best one is removed
    lie = dict(best_ckpt=place, last_ckpt=place, best_score=-1.0)
    evil = changed(trained, tmp_path, lambda c: info(c).update(lie))
    start = time.perf_counter()
    runner = run(tmp_path, case, resume=evil)
    assert time.perf_counter() - start < 10 and runner.epoch == 3
    assert all_there(tmp_path)
    hub = runner.message_hub.runtime_info
    assert os.path.dirname(hub['best_ckpt']) == os.path.dirname(hub['last_ckpt'])
    assert os.path.dirname(hub['last_ckpt']) == str(tmp_path / 'work')


@pytest.mark.parametrize('key', ['keep_ckpt_ids', 'between_ckpt_ids'])
@pytest.mark.parametrize('case', STEPS)
def test_steps(trained, tmp_path, case, key):
    evil = changed(trained, tmp_path, lambda c: info(c).update({key: STEPS[case]}))
    with pytest.raises(CheckpointError, match='cannot resume'):
        run(tmp_path, f'{case} {key}', resume=evil)
    assert all_there(tmp_path) and (tmp_path / 'work' / 'epoch_2.pth').exists()


@pytest.mark.parametrize('case', OTHERS)
def test_what_does_not_fit_is_refused(trained, tmp_path, case):
    evil = changed(trained, tmp_path, OTHERS[case])
    with pytest.raises(CheckpointError) as caught:
        run(tmp_path, case, resume=evil)
    assert '\n' not in str(caught.value) and all_there(tmp_path)


def test_the_former_best_one_of_the_folder_goes(trained, tmp_path):
    """Also where the folder was moved: its file is found by name."""
    elsewhere = '/elsewhere/best_accuracy_top1_epoch_1.pth'
    evil = changed(
        trained, tmp_path, lambda c: info(c).update(best_score=-1.0, best_ckpt=elsewhere)
    )
    for path in (tmp_path / 'work').glob('best_accuracy*.pth'):
        path.unlink()
    (tmp_path / 'work' / 'best_accuracy_top1_epoch_1.pth').write_text('the former best one')
    run(tmp_path, 'moved', resume=evil)
    found = [p.name for p in (tmp_path / 'work').glob('best_accuracy*.pth')]
    assert found == ['best_accuracy_top1_epoch_2.pth']
