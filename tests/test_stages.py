"""A training in stages, on the engine's toy."""

import copy

import pytest
import torch
from helpers.engine_toy import ToyPrompted, hook, toy_config
from helpers.kill_and_resume import differences
from mmengine.hooks import EMAHook
from mmengine.runner import Runner

from mmdpt.engine import CheckpointError, FewShotRunner, read_checkpoint
from mmdpt.engine.stages import steps_of

STAGES = [dict(learns=['text_prompt'], share=0.6), dict(learns=['visual_prompt'])]
ADAM = dict(constructor='PromptOptimWrapperConstructor', optimizer=dict(type='AdamW', lr=0.05))
COSINE = dict(type='CosineAnnealingLR', eta_min=1e-4, by_epoch=False)


def config(folder, stages=STAGES, **options):
    """Three batches in a pass; 4 passes of steps in all unless said otherwise."""
    cfg = toy_config(folder, **{k: v for k, v in options.items() if k in ('poison', 'noise')})
    cfg.stages = copy.deepcopy(stages)
    cfg.optim_wrapper, cfg.param_scheduler = ADAM, COSINE
    cfg.train_cfg.update(options.get('train_cfg', {}))
    cfg.default_hooks.checkpoint.max_keep_ckpts = -1
    cfg.experiment_name = f'{folder}{options.get("resume")}'
    if 'resume' in options:
        cfg.resume, cfg.load_from = True, str(options['resume'])
    return cfg


def train(folder, stages=STAGES, **options):
    """The runner after a training, with what each step saw."""
    runner = FewShotRunner.from_cfg(config(folder, stages, **options))
    seen = runner.seen = []

    def note(self, runner, batch_idx, data_batch=None, outputs=None):
        rate = runner.optim_wrapper.get_lr()['lr'][0]
        images = torch.stack(list(data_batch['inputs']))
        labels = [int(s.gt_label) for s in data_batch['data_samples']]
        seen.append((runner.epoch, runner.train_loop.stage, batch_idx, rate, images, labels))

    runner.register_hook(hook('HIGHEST', before_train_iter=note))
    runner.train()
    return runner


def places(runner):
    return [(epoch, stage, batch) for epoch, stage, batch, *_ in runner.seen]


def test_a_stage_ends_within_a_pass_and_the_next_begins_with_one(tmp_path):
    """12 steps: 7 (a pass of 3, one of 3, one of 1), then 5 (3 and 2)."""
    runner = train(tmp_path)
    assert places(runner) == [
        *[(0, 0, 0), (0, 0, 1), (0, 0, 2), (1, 0, 0), (1, 0, 1), (1, 0, 2), (2, 0, 0)],
        *[(3, 1, 0), (3, 1, 1), (3, 1, 2), (4, 1, 0), (4, 1, 1)],
    ]
    assert runner.max_epochs == 5 and runner.max_iters == runner.iter == 12


def test_equals_two_trainings_one_after_the_other(tmp_path):
    """The same batches, two optimizers of torch, two cosines in closed form."""
    runner = train(tmp_path)
    model, step = ToyPrompted(), 0
    for stage, (total, learnt) in enumerate(
        ((7, model.text_prompt.parameters()), (5, [model.visual_prompt]))
    ):
        optimizer = torch.optim.AdamW(list(learnt), lr=0.05)
        for k in range(total):
            *place, rate, images, labels = runner.seen[step]
            wanted = 1e-4 + (0.05 - 1e-4) / 2 * (
                1 + torch.tensor(torch.pi * k / total).cos().item()
            )
            assert place[1] == stage and abs(rate - wanted) < 1e-8
            optimizer.param_groups[0]['lr'] = rate
            inputs = (images.float() - 127.5) / 127.5
            x = inputs.flatten(1) + model.visual_prompt
            logits = model.tower(x) + model.text_prompt(x)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(logits, torch.tensor(labels)).backward()
            optimizer.step()
            step += 1
    for name, value in model.state_dict().items():
        torch.testing.assert_close(runner.model.state_dict()[name], value, rtol=0, atol=1e-6)


def test_only_what_learns_moves_and_has_state(tmp_path):
    train(tmp_path)
    states = [read_checkpoint(str(tmp_path / f'epoch_{i}.pth')) for i in range(1, 6)]
    for one, two, moves in zip(states, states[1:], ['text', 'text', 'visual', 'visual']):
        moved = {
            n.split('_')[0]
            for n, t in one['state_dict'].items()
            if (two['state_dict'][n] != t).any()
        }
        assert moved == {moves}
    assert [len(s['optimizer']['state']) for s in states] == [2, 2, 2, 1, 1]


@pytest.mark.parametrize('epoch', [1, 2, 3, 4])
def test_resumed_equals_unbroken(tmp_path, epoch):
    """In stage 1, in its cut pass (at the switch), in stage 2."""
    whole = train(tmp_path / 'whole')
    broken = train(tmp_path / 'broken', resume=tmp_path / 'whole' / f'epoch_{epoch}.pth')
    assert places(broken) == [p for p in places(whole) if p[0] >= epoch]
    ends = [read_checkpoint(str(tmp_path / part / 'epoch_5.pth')) for part in ('whole', 'broken')]
    for end in ends:
        end['meta'] = {k: end['meta'][k] for k in ('epoch', 'iter')}
        end.pop('message_hub')
    assert differences(*ends) == []


def test_exact_number_of_steps(tmp_path):
    runner = train(tmp_path, train_cfg=dict(max_epochs=None, max_steps=5))
    assert places(runner) == [(0, 0, 0), (0, 0, 1), (0, 0, 2), (1, 1, 0), (1, 1, 1)]


def test_shares_are_rounded_down():
    assert steps_of([dict(share=0.6), dict()], 10) == [6, 4]
    assert steps_of([dict(share=0.29), dict()], 100) == [int(0.29 * 100), 100 - int(0.29 * 100)]
    assert steps_of([dict(share=0.5), dict(share=0.25), dict()], 9) == [4, 2, 3]


def test_a_schedule_by_epochs_counts_the_passes_of_its_stage(tmp_path):
    cfg = config(tmp_path)
    cfg.param_scheduler = dict(type='ConstantWarmupCosineLR', warmup_epochs=1)
    runner, ends = FewShotRunner.from_cfg(cfg), []
    note = lambda self, runner: ends.append(runner.param_schedulers[0].end)  # noqa: E731
    runner.register_hook(hook(before_train_epoch=note))
    runner.train()
    assert ends == [3, 3, 3, 2, 2]


def test_nan_in_a_later_stage_stops(tmp_path):
    with pytest.raises(FloatingPointError, match=r'iteration 9 \(epoch 4\).*epoch_3.pth'):
        train(tmp_path, poison=9)


@pytest.mark.parametrize(
    'stages, message',
    [
        (STAGES[:1], 'all but the last need a share'),
        ([dict(STAGES[0]), dict(STAGES[1], share=0.4)], 'all but the last need a share'),
        ([dict(STAGES[0], share=0.01), STAGES[1]], r'they take \[0, 12\]: each needs at least one'),
        ([dict(STAGES[0], shares=1), STAGES[1]], r"but not \['shares'\]"),
        ([STAGES[0], dict(learns=['text_prompt'])], 'text_prompt, visual_prompt, but is'),
        ([STAGES[0], dict(learns=['visual_prompt', 'tower'])], 'must name all parts'),
        ([STAGES[0], dict()], 'must name all parts'),
    ],
)
def test_refused_stages(tmp_path, stages, message):
    with pytest.raises(ValueError, match=message):
        train(tmp_path, stages)


@pytest.mark.parametrize(
    'loop, message',
    [
        (dict(max_steps=4), 'needs one of train_cfg.max_epochs and train_cfg.max_steps'),
        (dict(max_epochs=None), 'needs one of train_cfg.max_epochs and train_cfg.max_steps'),
        (dict(max_epochs=None, max_steps=0), 'train_cfg.max_steps'),
    ],
)
def test_refused_lengths(tmp_path, loop, message):
    with pytest.raises(ValueError, match=message):
        train(tmp_path, train_cfg=loop)


def test_no_moving_average_over_stages(tmp_path):
    cfg = config(tmp_path)
    cfg.custom_hooks = [dict(type='EMAHook', ema_type='LearntEMA')]
    runner = FewShotRunner.from_cfg(cfg)
    assert any(isinstance(h, EMAHook) for h in runner.hooks)
    with pytest.raises(ValueError, match='EMAHook averages one training'):
        runner.train()


def test_not_resumed_with_changes(tmp_path):
    from mmdpt.cli.train import allow_changes

    train(tmp_path / 'one')
    cfg = config(tmp_path / 'two', resume=tmp_path / 'one' / 'epoch_2.pth')
    cfg.stages[0].share = 0.5
    with pytest.raises(CheckpointError, match='stages.0.share was 0.6, now 0.5'):
        FewShotRunner.from_cfg(cfg).train()
    runner = FewShotRunner.from_cfg(config(tmp_path / 'three', resume=tmp_path / 'one/epoch_2.pth'))
    runner.cfg.stages[0].share = 0.5
    allow_changes(runner)
    with pytest.raises(CheckpointError, match='cannot resume a training in stages'):
        runner.train()


def test_other_runners_know_no_stages(tmp_path):
    """Without stages nothing changes."""
    cfg = config(tmp_path)
    cfg.pop('stages')
    runner = FewShotRunner.from_cfg(cfg)
    runner.train()
    assert type(runner.train_loop).__name__ == 'EpochBasedTrainLoop' and runner.iter == 12
    assert issubclass(FewShotRunner, Runner)
