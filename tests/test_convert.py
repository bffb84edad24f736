"""Checkpoints of the public code give the reference's logits, and go back."""

import collections
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from parity import coprompt, promptkd, skiptuning, two_stage
from parity.golden import Golden, build_model, clip_config, read_npz
from parity.parts import METHODS
from parity.promptkd_teacher import taught

from mmdpt.cli.arguments.convert_checkpoint import OWN_NAMES
from mmdpt.engine import CheckpointError
from mmdpt.engine.convert import from_model, into_model, read_reference
from mmdpt.models.reference_names import RULES

GOLDEN = Path(__file__).parent / 'data/golden'
CASES = (
    'coop_end',
    'cocoop',
    'vpt_deep',
    'dpt_two_topk',
    'maple',
    'promptsrc',
    'clip_adapter',
    'tip_adapter_f',
    'clip_lora',
    'kgcoop',
    'tcp',
    'vlp',
    'prograd_aligned',
)
OPTIMIZERS = dict(  # of Dassl.pytorch's
    sgd=lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9),
    adam=torch.optim.Adam,
    amsgrad=lambda weights: torch.optim.Adam(weights, amsgrad=True),
    adamw=torch.optim.AdamW,
    rmsprop=torch.optim.RMSprop,
)
SCHEDULERS = dict(
    cosine=lambda optim: torch.optim.lr_scheduler.CosineAnnealingLR(optim, 5),
    multi_step=lambda optim: torch.optim.lr_scheduler.MultiStepLR(optim, [1, 3]),
    single_step=lambda optim: torch.optim.lr_scheduler.StepLR(optim, 2),
)


def case(name):
    meta, arrays = read_npz(GOLDEN / f'{name}.npz')
    golden = Golden(GOLDEN, meta, arrays, 'float64')
    return golden, lambda: build_model(
        golden, start_values=False, **METHODS[meta['method']](golden)
    )


class ConstantWarmup(torch.optim.lr_scheduler.LRScheduler):
    """As Dassl.pytorch's ConstantWarmupScheduler: its state holds its successor as an object."""

    def __init__(self, optimizer, successor):
        self.successor = successor
        super().__init__(optimizer)

    def get_lr(self):
        if self.last_epoch >= 1:
            return self.successor.get_last_lr()
        return [1e-5] * len(self.base_lrs)

    def step(self, epoch=None):
        if self.last_epoch >= 1:
            self.successor.step(epoch)
            self._last_lr = self.successor.get_last_lr()
        else:
            super().step(epoch)


def dassl_file(path, tensors, optimizer='sgd', scheduler='cosine', steps=2, **saving):
    """As Dassl.pytorch writes it, after some steps on the tensors themselves."""
    weights = [torch.nn.Parameter(t.clone()) for t in tensors.values() if t.is_floating_point()]
    optim = OPTIMIZERS[optimizer](weights)
    warmup = ConstantWarmup(optim, SCHEDULERS[scheduler](optim))
    for _ in range(steps):
        optim.zero_grad()
        sum((w**2).sum() for w in weights).backward()
        optim.step()
        warmup.step()
    torch.save(
        dict(
            state_dict=tensors,
            epoch=5,
            optimizer=optim.state_dict(),
            scheduler=warmup.state_dict(),
            val_result=np.float64(91.8),
        ),
        path,
        **saving,
    )
    return str(path)


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('scheduler', SCHEDULERS)
@pytest.mark.parametrize('optimizer', OPTIMIZERS)
def test_every_optimizer_and_scheduler_after_steps(optimizer, scheduler, zipped, tmp_path):
    start = {'prompt_learner.ctx': torch.randn(4, 8)}
    file = dassl_file(
        tmp_path / 'model.pth.tar-5',
        start,
        optimizer,
        scheduler,
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(Exception, match='nsupported'):  # what makes it a file of real trainings
        torch.load(file, weights_only=True)
    found = read_reference(file)
    assert set(found) == set(start)
    assert torch.equal(found['prompt_learner.ctx'], start['prompt_learner.ctx'])


@pytest.mark.parametrize('name', CASES)
def test_logits_are_the_reference_s(name, tmp_path):
    golden, build = case(name)
    method = golden.meta['method']
    start = {k: torch.from_numpy(v) for k, v in golden.starts('param/').items()}
    whole = dict(start, **{'image_encoder.conv1.weight': torch.zeros(1)})
    file = dassl_file(tmp_path / 'model.pth.tar-5', whole)
    model = build()
    into_model(model, read_reference(file), method)
    if 'cache/labels' in golden.arrays:
        model.head.labels.copy_(torch.from_numpy(golden.arrays['cache/labels']))
    with torch.no_grad():
        logits = model.eval()(golden.images())
    torch.testing.assert_close(
        logits, torch.from_numpy(golden.arrays['out/logits']), rtol=1e-9, atol=1e-9
    )
    back = from_model(model, method)
    assert set(back) == set(start)
    assert all(torch.equal(back[n].float(), start[n]) for n in start)


def read(name):
    meta, arrays = read_npz(GOLDEN / f'{name}.npz')
    return Golden(GOLDEN, meta, arrays, 'float64')


def starts(golden, prefix='param/'):
    return {k: torch.from_numpy(v) for k, v in golden.starts(prefix).items()}


def test_the_command_knows_the_methods_with_names_of_their_own():
    assert set(OWN_NAMES) == set(RULES)


@pytest.mark.parametrize('name', ['promptkd_base2novel', 'promptkd_cross'])
def test_promptkd(name, tmp_path):
    """As their trainer saves it: the student's frozen tower, convolutions of one pixel and the
    batch norm's running statistics. The text features are the teacher's, which the config names."""
    golden = read(name)
    theirs = {**starts(golden), **starts(golden, 'buffer/')}
    frozen = {
        'image_encoder.conv1.weight': torch.zeros(1),
        'logit_scale': torch.zeros(()),
        'VPT_image_trans.conv1.1.num_batches_tracked': torch.tensor(8),
    }
    file = dassl_file(tmp_path / 'model.pth.tar-20', {**theirs, **frozen})
    with pytest.raises(CheckpointError, match='lack the text features.*set model.teacher'):
        into_model(
            build_model(golden, False, **promptkd.parts(golden)), read_reference(file), 'PromptKD'
        )
    with taught(golden) as (teacher, _):
        model = build_model(golden, False, **promptkd.parts(golden), teacher=teacher)
        into_model(model, read_reference(file), 'PromptKD')
    for key, logits in promptkd.evaluated(golden, model).items():
        wanted = torch.from_numpy(golden.arrays[f'out/eval_{key}'])
        torch.testing.assert_close(logits, wanted, rtol=1e-9, atol=1e-9)
    back = from_model(model, 'PromptKD')
    assert set(back) == set(theirs)
    assert all(torch.equal(back[n].float(), theirs[n].float()) for n in theirs)


def test_coprompt(tmp_path):
    golden = read('coprompt')
    theirs = starts(golden)
    frozen = {'prompt_learner.ZS_image_encoder.conv1.weight': torch.zeros(1)}
    model = coprompt.build(golden, start_values=False)
    into_model(
        model, read_reference(dassl_file(tmp_path / 'file', {**theirs, **frozen})), 'CoPrompt'
    )
    with torch.no_grad():
        logits = model.eval()(golden.images())
    wanted = torch.from_numpy(golden.arrays['out/logits'])
    torch.testing.assert_close(logits, wanted, rtol=1e-9, atol=1e-9)
    back = from_model(model, 'CoPrompt')
    assert set(back) == set(theirs)
    assert all(torch.equal(back[n].float(), theirs[n]) for n in theirs)


def test_two_stages(tmp_path):
    """A file with the classifier is of the second stage: it classifies, not the text features."""
    golden = read('twosfs_stage2')
    theirs = {**starts(golden), **starts(golden, 'fixed/')}
    model = two_stage.build(golden)
    theirs = {n: t for n, t in theirs.items() if n == 'classifier' or '.ln_' in n}
    assert set(theirs) == set(from_model(model, '2SFS'))
    into_model(model, read_reference(dassl_file(tmp_path / 'file', theirs)), '2SFS')
    with torch.no_grad():
        logits = model.eval()(golden.images())
    wanted = torch.from_numpy(golden.arrays['out/seen_logits'])
    assert model.head.started == 1 and logits.shape == wanted.shape
    back = from_model(model, '2SFS')
    assert all(torch.equal(back[n].float(), theirs[n]) for n in theirs)


def whole_towers(golden, changed):
    """SkipTuning's file: both towers of CLIP, ``changed`` blocks after a training."""
    _, weights = clip_config(GOLDEN / golden.meta['clip'])
    found = {}
    for name, tensor in weights.items():
        theirs = name.replace('visual.', 'image_encoder.')
        theirs = theirs if theirs != name else f'text_encoder.{name}'
        if name in ('logit_scale', 'token_embedding.weight'):
            theirs = name
        learnt = any(f'resblocks.{i}.' in name for i in changed)
        noise = torch.randn_like(tensor, dtype=torch.float32) * 0.01
        found[theirs] = (name, tensor.float() + noise if learnt else tensor)
    return found


def test_skiptuning(tmp_path):
    """The blocks below are CLIP's own and left out; changed ones are refused."""
    golden = read('skiptuning')
    first = golden.meta['start_layer']
    towers = whole_towers(golden, range(first, 9))
    model = build_model(golden, **skiptuning.parts(golden))
    file = dassl_file(tmp_path / 'file', {n: t for n, (_, t) in towers.items()})
    into_model(model, read_reference(file), 'SkipTuning')
    clip = golden._replace(arrays={f'fixed/{own}': t.numpy() for own, t in towers.values()})
    with torch.no_grad():
        logits, wanted = (m.eval()(golden.images()) for m in (model, build_model(clip)))
    torch.testing.assert_close(logits, wanted, rtol=1e-9, atol=1e-9)
    back = from_model(model, 'SkipTuning')
    assert back and all(torch.equal(back[n].float(), towers[n][1].float()) for n in back)
    other = {n: t for n, (_, t) in whole_towers(golden, range(first - 1, 9)).items()}
    with pytest.raises(CheckpointError, match=r'resblocks.*set model.tuning.first'):
        into_model(model, other, 'SkipTuning')


def test_bare_prompt_learner(tmp_path):
    golden, build = case('coop_end')
    ctx = torch.from_numpy(golden.arrays['param/prompt_learner.ctx'])
    file = dassl_file(
        tmp_path / 'model.pth.tar-5',
        dict(ctx=ctx, token_prefix=torch.zeros(1), token_suffix=torch.zeros(1)),
    )
    model = build()
    into_model(model, read_reference(file))
    assert torch.equal(model.text_prompt.context.float(), ctx)


def test_unknown_layouts(tmp_path):
    _, build = case('coop_end')
    with pytest.raises(CheckpointError, match='other is neither learnt by DPT'):
        into_model(build(), dict(other=torch.zeros(1)))
    with pytest.raises(ValueError, match='lacks learnt tensors: text_prompt'):
        into_model(build(), {'image_encoder.x': torch.zeros(1)})
    torch.save([1], tmp_path / 'list')
    with pytest.raises(CheckpointError, match='unknown layout: expected tens'):
        read_reference(str(tmp_path / 'list'))


class Hostile:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('place', ['beside', 'state', 'factory', 'tensor', 'key'])
@pytest.mark.parametrize('function', [os.mkdir, eval, exec, open, getattr, print])
def test_code_is_refused(function, place, tmp_path):
    trace = tmp_path / 'ran'
    argument = str(trace) if function is os.mkdir else f'__import__("os").mkdir({str(trace)!r})'
    evil = Hostile(function, argument)
    ctx = torch.zeros(2, 8)
    if place == 'factory':
        evil = Hostile(collections.defaultdict, function)
    content = dict(
        beside=dict(state_dict=dict(ctx=ctx), evil=evil),
        state=dict(state_dict=dict(ctx=ctx), scheduler=dict(successor=[evil])),
        factory=dict(state_dict=dict(ctx=ctx), scheduler=evil),
        tensor=dict(state_dict=dict(ctx=evil)),
        key=dict(state_dict=dict(ctx=ctx), optimizer=((evil, 1),)),
    )[place]
    torch.save(content, tmp_path / 'evil')
    with pytest.raises(CheckpointError, match='is refused'):
        read_reference(str(tmp_path / 'evil'))
    assert not trace.exists()


class Impostor(torch.optim.SGD):
    """Under the name of a class that has a stand-in."""

    ran = False

    def __setstate__(self, state):
        Impostor.ran = True


def test_no_constructor_runs(tmp_path, monkeypatch):
    weight = torch.nn.Parameter(torch.zeros(2, 8))
    torch.save(
        dict(state_dict=dict(ctx=weight.data), scheduler=torch.optim.SGD([weight], lr=1.0)),
        tmp_path / 'file',
    )
    monkeypatch.setattr(torch.optim.SGD, '__setstate__', Impostor.__setstate__)
    monkeypatch.setattr(torch.optim.SGD, '__init__', Impostor.__setstate__)
    assert set(read_reference(str(tmp_path / 'file'))) == {'prompt_learner.ctx'}
    assert not Impostor.ran


@pytest.mark.parametrize(
    'tensor, message',
    [
        (torch.tensor([[1.0, float('nan')]]), 'not finite'),
        (torch.tensor([[1.0, float('-inf')]]), 'not finite'),
        (torch.zeros(1, 8, dtype=torch.complex64), 'complex'),
        (torch.zeros(1, 8).to_sparse(), 'layout'),
        (torch.zeros(1, 8, device='meta'), 'the device meta'),
        (torch.zeros(1, 1).expand(10**6, 10**6), 'larger than its memory'),
    ],
)
def test_tensors_that_no_training_leaves(tensor, message, tmp_path):
    torch.save(dict(state_dict=dict(ctx=tensor)), tmp_path / 'file')
    with pytest.raises(CheckpointError, match=message):
        read_reference(str(tmp_path / 'file'))


@pytest.mark.parametrize('kind', [torch.int64, torch.uint8, torch.bool])
def test_learnt_integers(kind):
    _, build = case('coop_end')
    with pytest.raises(CheckpointError, match='prompt_learner.ctx has numbers of type'):
        into_model(build(), {'prompt_learner.ctx': torch.ones(4, 8, dtype=kind)})


@pytest.mark.parametrize('content', [b'', b'nothing', b'PK\x03\x04' + bytes(90), None])
def test_damaged(content, tmp_path):
    path = tmp_path / 'file'
    if content is None:
        with pytest.raises(FileNotFoundError, match='no file'):
            read_reference(str(path))
        return
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match='is damaged'):
        read_reference(str(path))


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda t: t * float('nan'), 'has NaN or infinity'),
        (lambda t: t / 0, 'has NaN or infinity'),
        (lambda t: t.to(torch.complex64), 'torch.complex64'),
        (lambda t: t.to(torch.int32), 'torch.int32'),
        (lambda t: t.to(torch.bool), 'torch.bool'),
        (lambda t: t.to_sparse(), 'layout'),
        (lambda t: t.to('meta'), 'the device meta'),
        (lambda t: t.tolist(), 'is a list'),
    ],
)
def test_a_converted_file_that_was_changed(change, words):
    _, build = case('coop_end')
    model = build()
    state = model.state_dict()
    state['text_prompt.context'] = change(state['text_prompt.context'])
    with pytest.raises(ValueError, match=f'text_prompt.context .*{words}'):
        build().load_state_dict(state)
