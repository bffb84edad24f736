"""MMPretrain's and MMEngine's training and test tools with our models."""

import copy
import os.path as osp

import numpy as np
import pytest
import torch
from helpers.classifier import METHODS, build
from helpers.classifier import samples as with_views
from helpers.short_runs import Recorder, leaf, short_config, train
from helpers.tools import tool
from mmengine.dataset import pseudo_collate
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS, OPTIM_WRAPPERS
from mmpretrain.structures import DataSample

from mmdpt.engine import LearntEMA, read_checkpoint
from mmdpt.engine.cli import build_runner

CONTEXT = 'text_prompt.context'
EMA = dict(type='EMAHook', momentum=0.1)


def with_hook(method, work_dir, hook, **options):
    """Config: With one more hook."""
    cfg = short_config(method, work_dir, **options)
    cfg.custom_hooks = [*cfg.custom_hooks, hook]
    return cfg


def test_ema_averages_what_is_learnt(tmp_path):
    """Checkpoints hold the average, of the learnt tensors only."""
    seen = Recorder(lambda runner: runner.model.text_prompt.context.detach().clone())
    runner = train(with_hook('coop', tmp_path, EMA, val_interval=1), seen)
    average = seen.found[0]
    for value in seen.found[1:]:
        average = average.lerp(value, 0.1)
    checkpoint = read_checkpoint(tmp_path / 'epoch_2.pth')
    assert list(checkpoint['state_dict']) == [CONTEXT]
    assert set(checkpoint['ema_state_dict']) == {'steps', f'module.{CONTEXT}'}
    torch.testing.assert_close(checkpoint['state_dict'][CONTEXT], average, rtol=0, atol=1e-7)
    assert torch.equal(checkpoint['ema_state_dict'][f'module.{CONTEXT}'], seen.found[-1])
    # evaluation swaps the average in, and out again
    assert torch.equal(runner.model.text_prompt.context, seen.found[-1])
    cfg = short_config('coop', tmp_path / 'test')
    cfg.load_from = str(tmp_path / 'epoch_2.pth')
    tested = build_runner(cfg)
    wanted = tested.test()
    assert torch.equal(tested.model.text_prompt.context, checkpoint['state_dict'][CONTEXT])
    assert runner.test_loop.run() == wanted


def test_shared_towers_give_the_same_average():
    model = build('dpt')
    stock = ExponentialMovingAverage(model, momentum=0.1)
    ours = LearntEMA(model, momentum=0.1)
    for _ in range(3):
        for p in model.parameters():
            p.data += 0.1 * torch.randn_like(p) if p.requires_grad else 0
        stock.update_parameters(model)
        ours.update_parameters(model)
    one, other = stock.state_dict(), ours.state_dict()
    assert list(one) == list(other) and all(torch.equal(one[k], other[k]) for k in one)
    mine = dict(ours.module.named_parameters())
    for name, p in model.named_parameters():
        assert (mine[name] is p) == (not p.requires_grad), name
        assert not mine[name].requires_grad
    for option in (dict(device='cpu'), dict(update_buffers=True)):
        with pytest.raises(ValueError, match=f'takes no {next(iter(option))}'):
            LearntEMA(model, **option)


@pytest.mark.parametrize('kind', ['ExponentialMovingAverage', 'LearntEMA'])
def test_ema_resumes_exactly(tmp_path, kind):
    hook = dict(EMA, ema_type=kind)
    whole = with_hook('dpt', tmp_path / 'whole', hook, epochs=3)
    train(whole)
    part = with_hook('dpt', tmp_path / 'part', hook, epochs=3)
    part.resume, part.load_from = True, str(tmp_path / 'whole' / 'epoch_1.pth')
    train(part)
    files = [read_checkpoint(tmp_path / name / 'epoch_3.pth') for name in ('whole', 'part')]
    for key in ('state_dict', 'ema_state_dict'):
        one, other = (file[key] for file in files)
        assert set(one) == set(other) and len(one) > 3
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_early_stopping(tmp_path):
    hook = dict(type='EarlyStoppingHook', monitor='accuracy/top1', patience=1, min_delta=1000.0)
    runner = train(
        with_hook(
            'coop',
            tmp_path,
            hook,
            epochs=9,
            train_cfg__val_interval=1,
            default_hooks__report__enable=True,
        )
    )
    assert runner.epoch == 2  # the first sets the mark, the second does not pass it
    assert osp.isfile(tmp_path / 'results.json') and not osp.isfile(tmp_path / 'epoch_3.pth')


def test_metrics_by_class(tmp_path):
    cfg = short_config('zeroshot', tmp_path)
    cfg.test_evaluator = [
        dict(type='Accuracy', topk=(1, 5)),
        dict(type='ConfusionMatrix'),
        dict(type='SingleLabelMetric', items=('recall', 'support'), average=None),
    ]
    found = build_runner(cfg).test()
    matrix = found['confusion_matrix/result']
    assert matrix.shape == (10, 10) and matrix.sum() == 60
    assert 100 * matrix.trace() / 60 == pytest.approx(found['accuracy/top1'])
    assert matrix.sum(1).tolist() == found['single-label/support_classwise']
    recall = 100 * matrix.diag() / matrix.sum(1)
    assert found['single-label/recall_classwise'] == pytest.approx(recall.tolist(), rel=1e-5)
    assert found['accuracy/top5'] > found['accuracy/top1'] > 30


def test_learning_rate_follows_the_batch_size(tmp_path):
    """Every group by the same factor; the constant rate of the warm-up not."""
    rates = Recorder(
        lambda runner: [
            group['initial_lr'] for group in runner.optim_wrapper.optimizer.param_groups
        ]
    )
    for base in (10, 40):
        train(
            short_config(
                'dpt', tmp_path, epochs=1, auto_scale_lr=dict(base_batch_size=base, enable=True)
            ),
            rates,
        )
    plain, scaled = rates.found[0], rates.found[-1]
    assert len(set(plain)) == 2 and scaled == pytest.approx([rate / 4 for rate in plain])


def test_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(
        short_config(
            'coop',
            tmp_path,
            visualizer__vis_backends=[dict(type='TensorboardVisBackend')],
            default_hooks__logger__interval=1,
        )
    )
    folder = next(tmp_path.glob('*/vis_data'))
    events = EventAccumulator(str(folder)).Reload()
    assert {'loss', 'lr', 'accuracy/top1'} <= set(events.Tags()['scalars'])
    assert [e.step for e in events.Scalars('loss')] == [1, 2, 3, 4]


def test_mixup_trains(tmp_path):
    """From a config whose data_preprocessor is that of the data."""
    losses = Recorder(lambda runner: float(runner.message_hub.get_scalar('train/loss').current()))
    augments = [dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]
    train(short_config('coop', tmp_path / 'a', model__train_cfg=dict(augments=augments)), losses)
    train(short_config('coop', tmp_path / 'b'), losses)
    mixed, plain = losses.found[:4], losses.found[4:]
    assert np.isfinite(mixed).all() and mixed != plain
    with pytest.raises(ValueError, match='DPTHead needs one label per image'):
        build_runner(short_config('dpt', tmp_path / 'c', model__train_cfg=dict(augments=augments)))


def test_rand_augment(tmp_path):
    """A function of the epoch and the image, as all our augmentation."""
    init_default_scope('mmpretrain')
    augment = dict(
        type='RandAugment',
        policies='timm_increasing',
        num_policies=2,
        total_level=10,
        magnitude_level=9,
        magnitude_std=0.5,
    )
    cfg = short_config('coop', tmp_path).train_dataloader.dataset
    cfg.pipeline = [*cfg.pipeline[:2], augment, dict(type='PackInputs')]
    dataset = DATASETS.build(cfg)

    def images():
        return torch.stack([dataset[i]['inputs'] for i in range(20)])

    first = images()
    assert torch.equal(images(), first)
    dataset.set_epoch(1)
    assert (images() != first).flatten(1).any(1).sum() > 10


def test_test_time_augmentation_is_the_mean(tmp_path):
    train(short_config('coop', tmp_path, epochs=1))
    checkpoint = tmp_path / 'epoch_1.pth'
    tool(
        'test',
        leaf('coop'),
        checkpoint,
        '--tta',
        '--work-dir',
        tmp_path / 'tta',
        '--out',
        tmp_path / 'tta.pkl',
        '--cfg-options',
        'test_dataloader.dataset.indices=12',
    )
    import mmengine

    found = mmengine.load(tmp_path / 'tta.pkl')
    cfg = short_config('coop', tmp_path / 'one', test_dataloader__dataset__indices=12)
    cfg.load_from = str(checkpoint)
    runner = build_runner(cfg)
    runner.load_or_resume()
    batch = pseudo_collate([runner.test_dataloader.dataset[i] for i in range(12)])
    mirrored = dict(copy.deepcopy(batch), inputs=[x.flip(-1) for x in batch['inputs']])
    with torch.no_grad():
        views = [runner.model.eval().test_step(b) for b in (batch, mirrored)]
    for one, other, mean in zip(*views, found):
        torch.testing.assert_close(mean['pred_score'], (one.pred_score + other.pred_score) / 2)


def accumulated(method, counts):
    """Gradients of 8 images in ``counts`` batches, in double precision."""
    model = build(method).train()
    model.head.set_epoch(0)
    torch.manual_seed(1)
    images = torch.randn(8, 3, 32, 32).double()
    samples = [DataSample().set_gt_label(i // 2) for i in range(8)]
    for sample, other in zip(samples, with_views(count=8)):
        sample.set_field(other.img2, 'img2')
    learnt = [p for p in model.parameters() if p.requires_grad]
    kind = 'ProGradOptimWrapper' if method == 'prograd' else 'OptimWrapper'
    wrapper = OPTIM_WRAPPERS.build(
        dict(type=kind, optimizer=torch.optim.SGD(learnt, lr=1.0), accumulative_counts=counts)
    )
    assert isinstance(wrapper, OptimWrapper)
    wrapper.initialize_count_status(model, 0, counts)
    before = [p.detach().clone() for p in learnt]
    for part in range(counts):
        chosen = slice(part * 8 // counts, (part + 1) * 8 // counts)
        losses = model.loss(images[chosen], samples[chosen])
        wrapper.update_params(model.parse_losses(losses)[0])
    return torch.cat([(a - b).detach().flatten() for a, b in zip(before, learnt)])


BY_BATCH = ('skiptuning', 'coprompt')


# SkipTuning encodes the classes of its batch, CoPrompt draws a sentence per batch
@pytest.mark.parametrize('method', [m for m in METHODS if m not in ('zeroshot', *BY_BATCH)])
def test_accumulated_gradients(method):
    """Those of the big batch. Only DPT's class-aware loss, a mean over the
    images whose label is selected, weighs the images of each part by
    themselves: close, not equal."""
    whole, parts = accumulated(method, 1), accumulated(method, 4)
    difference = (whole - parts).norm() / whole.norm()
    if method == 'dpt':
        assert 1e-3 < difference < 0.5
    else:
        assert difference < 1e-12
