"""Checkpoints of a training: content, exact resume, and faults on the way."""

import os

import pytest
import torch
from helpers.engine_toy import hook, toy_config
from mmengine.runner import Runner

from mmdpt.engine import CheckpointError, latest_checkpoint, read_checkpoint
from mmdpt.engine.settings import settings_hash


def train(work_dir, resume=None, **kwargs):
    """Trains the toy; returns the Runner."""
    train.runs = getattr(train, 'runs', 0) + 1
    cfg = toy_config(work_dir, **kwargs)
    cfg.experiment_name = f'run {train.runs}'
    if resume:
        cfg.resume, cfg.load_from = True, str(resume)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def learnt(path):
    """The learnt tensors of a checkpoint."""
    return read_checkpoint(str(path))['state_dict']


def test_content(tmp_path):
    train(tmp_path)
    assert sorted(f for f in os.listdir(tmp_path) if f.endswith('.pth')) == [
        'epoch_3.pth',
        'epoch_4.pth',
    ]
    checkpoint = torch.load(tmp_path / 'epoch_4.pth', weights_only=True)
    assert set(checkpoint['state_dict']) == {
        'visual_prompt',
        'text_prompt.weight',
        'text_prompt.bias',
    }
    entry = checkpoint['meta']['mmdpt']
    settings = entry.pop('settings')
    assert settings['optim_wrapper.optimizer.lr'] == 0.1 and settings['processes'] == 1
    assert entry == dict(
        settings_hash=settings_hash(settings),
        classes=['a', 'b', 'c'],
        clip=dict(fingerprint='toy'),
        draw_hash='draw-1',
        version='0.1.0',
        recipe=dict(version=1, missing='ToyPrompted is not a PromptedCLIP'),
    )
    assert checkpoint['message_hub']['log_scalars'] == {}
    assert checkpoint['message_hub']['runtime_info']['epoch'] == 3
    assert os.path.getsize(tmp_path / 'epoch_4.pth') < 20_000
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_4.pth')


@pytest.mark.parametrize('epoch', [1, 3, 4])
def test_resume_is_exact(tmp_path, epoch):
    """Also with noise from torch's global generator."""
    whole = train(tmp_path / 'whole', noise=0.3)
    part = tmp_path / 'part'
    cfg = toy_config(part, noise=0.3)
    cfg.experiment_name = f'part {epoch} {tmp_path}'
    runner = Runner.from_cfg(cfg)

    def stop(*args):
        if runner.epoch + 1 == epoch:
            raise KeyboardInterrupt

    runner.register_hook(hook('LOWEST', after_train_epoch=stop))
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    assert latest_checkpoint(str(part)) == str(part / f'epoch_{epoch}.pth')
    resumed = train(part, resume=part / f'epoch_{epoch}.pth', noise=0.3)
    wanted = learnt(tmp_path / 'whole' / 'epoch_4.pth')
    found = learnt(part / 'epoch_4.pth')
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)
    assert resumed.optim_wrapper.get_lr() == whole.optim_wrapper.get_lr()
    assert not torch.equal(wanted['visual_prompt'], torch.zeros(16))


def test_epochs_between_are_kept_until_the_next(tmp_path):
    """With an interval of many epochs, too, a killed training loses one at most."""
    seen = []

    def look(self, runner):
        names = sorted(f for f in os.listdir(runner.work_dir) if f.endswith('.pth'))
        seen.append((names, os.path.basename(latest_checkpoint(runner.work_dir))))
        if runner.work_dir.endswith('part') and runner.epoch == 4:
            raise KeyboardInterrupt

    def run(name, resume=None):
        cfg = toy_config(tmp_path / name, epochs=7, noise=0.3)
        cfg.default_hooks.checkpoint.update(interval=3, max_keep_ckpts=1)
        cfg.experiment_name = f'{name} {resume} {tmp_path}'
        cfg.resume, cfg.load_from = bool(resume), resume
        runner = Runner.from_cfg(cfg)
        runner.register_hook(hook('LOWEST', after_train_epoch=look))
        runner.train()

    run('whole')
    assert seen == [
        (['epoch_1.pth'], 'epoch_1.pth'),
        (['epoch_2.pth'], 'epoch_2.pth'),
        (['epoch_3.pth'], 'epoch_3.pth'),
        (['epoch_3.pth', 'epoch_4.pth'], 'epoch_4.pth'),
        (['epoch_3.pth', 'epoch_5.pth'], 'epoch_5.pth'),
        (['epoch_6.pth'], 'epoch_6.pth'),
        (['epoch_7.pth'], 'epoch_7.pth'),
    ]
    with pytest.raises(KeyboardInterrupt):
        run('part')
    run('part', latest_checkpoint(str(tmp_path / 'part')))
    assert seen[7:] == [*seen[:5], *seen[5:7]]
    wanted, found = (learnt(tmp_path / name / 'epoch_7.pth') for name in ('whole', 'part'))
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


@pytest.mark.parametrize('names', [['accuracy/top1'], ['accuracy/top1', 'accuracy/top5']])
def test_former_best_goes_after_the_new_one_is_written(tmp_path, monkeypatch, names):
    """Also when several figures have a best one."""
    from mmdpt.engine import PromptCheckpointHook

    figures, removed = iter([1.0, 3.0, 2.0, 4.0]), []
    real = PromptCheckpointHook._remove

    def remove(self, path):
        if os.path.basename(path).startswith('best'):
            removed.append((os.path.basename(path), sorted(os.listdir(tmp_path))))
        real(self, path)

    monkeypatch.setattr(PromptCheckpointHook, '_remove', remove)
    cfg = toy_config(tmp_path)
    cfg.default_hooks.checkpoint.update(save_best=names, rule='greater')
    cfg.experiment_name = f'best {names} {tmp_path}'
    runner = Runner.from_cfg(cfg)

    def judge(self, runner):
        if runner.epoch:
            score = next(figures)
            saver = next(h for h in runner.hooks if isinstance(h, PromptCheckpointHook))
            saver.after_val_epoch(runner, dict.fromkeys(names, score))

    runner.register_hook(hook('LOWEST', before_train_epoch=judge))
    runner.train()
    files = {f for f in os.listdir(tmp_path) if f.startswith('best')}
    assert files == {f'best_{name.replace("/", "_")}_epoch_2.pth' for name in names}
    assert len(removed) == len(names)
    for name, there in removed:
        assert name in there and name.replace('epoch_1', 'epoch_2') in there


def test_failed_write_keeps_the_last_good_one(tmp_path, monkeypatch):
    """Nothing is removed before the new file is complete."""
    real, count = os.replace, []

    def full_disk(source, target):
        count.append(target)
        if target.endswith('epoch_4.pth'):
            raise OSError(28, 'No space left on device')
        real(source, target)

    monkeypatch.setattr(os, 'replace', full_disk)
    with pytest.raises(OSError, match='cannot write .*epoch_4.pth'):
        train(tmp_path)
    monkeypatch.undo()
    files = sorted(f for f in os.listdir(tmp_path) if f.endswith(('.pth', '.tmp')))
    assert files == ['epoch_2.pth', 'epoch_3.pth']
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_3.pth')
    train(tmp_path, resume=tmp_path / 'epoch_3.pth')
    assert sorted(f for f in os.listdir(tmp_path) if f.endswith('.pth')) == [
        'epoch_3.pth',
        'epoch_4.pth',
    ]


def test_killed_between_writing_and_removing(tmp_path, monkeypatch):
    """The old file that then stays is removed on resuming."""
    from mmdpt.engine import PromptCheckpointHook

    real = PromptCheckpointHook._remove_outdated

    def die(self, kept):
        if kept[-1] == 3:
            raise KeyboardInterrupt
        real(self, kept)

    monkeypatch.setattr(PromptCheckpointHook, '_remove_outdated', die)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path)
    monkeypatch.undo()
    assert (tmp_path / 'epoch_1.pth').exists() and (tmp_path / 'epoch_3.pth').exists()
    (tmp_path / '.epoch_4.pth.1.tmp').write_bytes(b'torn')
    train(tmp_path, resume=latest_checkpoint(str(tmp_path)))
    assert sorted(f for f in os.listdir(tmp_path) if f.endswith(('.pth', '.tmp'))) == [
        'epoch_3.pth',
        'epoch_4.pth',
    ]


def test_other_images_or_seed_are_refused(tmp_path):
    train(tmp_path)
    cfg = toy_config(tmp_path)
    cfg.resume, cfg.load_from = True, str(tmp_path / 'epoch_3.pth')
    cfg.train_dataloader.dataset.draw_hash = 'draw-2'
    cfg.experiment_name = f'images {tmp_path}'
    with pytest.raises(CheckpointError, match='other images .draw draw-1, now draw-2.'):
        Runner.from_cfg(cfg).train()
    cfg.train_dataloader.dataset.draw_hash = 'draw-1'
    cfg.randomness.seed = 7
    cfg.experiment_name = f'seed {tmp_path}'
    with pytest.raises(CheckpointError, match='seed 1, now it is 7.*--seed 1'):
        Runner.from_cfg(cfg).train()


def test_prompts_that_are_not_finite_are_not_saved(tmp_path):
    cfg = toy_config(tmp_path)
    cfg.experiment_name = f'infinite {tmp_path}'
    runner = Runner.from_cfg(cfg)

    def spoil(self, runner):
        if runner.epoch == 2:
            runner.model.visual_prompt.data[0] = float('inf')

    runner.register_hook(hook(after_train_epoch=spoil))
    with pytest.raises(FloatingPointError, match='visual_prompt holds NaN .*epoch_2.pth'):
        runner.train()
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_2.pth')


def test_text_that_resuming_would_execute(tmp_path):
    """MMEngine runs meta['config'] as Python."""
    train(tmp_path)
    path = tmp_path / 'epoch_4.pth'
    checkpoint = torch.load(path, weights_only=True)
    checkpoint['meta']['config'] = f"open({str(tmp_path / 'hacked')!r}, 'w')"
    torch.save(checkpoint, path)
    with pytest.raises(CheckpointError, match='refused.*run as Python'):
        train(tmp_path, resume=path)
    assert not (tmp_path / 'hacked').exists()
