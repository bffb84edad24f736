"""The figure of how far a training repeats."""

import plot_repeats
import torch


def test_one_value_changes_by_its_last_digit():
    model = torch.nn.Linear(3, 2)
    old = {n: t.clone() for n, t in model.state_dict().items()}
    plot_repeats.nudge(model)
    far = {n: (t - old[n]).abs() for n, t in model.state_dict().items()}
    assert far['bias'].eq(0).all() and far['weight'].gt(0).sum() == 1
    assert 0 < far['weight'].max() < 1e-7


def test_a_training_gives_a_loss_per_step(tmp_path):
    config = tmp_path / 'short.py'
    base = plot_repeats.named_config('clip_adapter_tiny_digits_16shot')
    config.write_text(f'_base_ = [{base!r}]\ntrain_cfg = dict(max_epochs=1)\n')
    losses, top1 = plot_repeats.train(str(config), 'fp32', nudged=True)
    assert len(losses) == 5 and all(0 < loss < 10 for loss in losses) and 50 < top1 <= 100


def test_the_largest_difference_so_far_is_drawn(monkeypatch, tmp_path, capsys):
    def train(config, precision, nudged):
        return [0.5, 0.25 if nudged else 0.5, 0.5] + [0.5] * 100, 90.0

    monkeypatch.setattr(plot_repeats, 'train', train)
    out = tmp_path / 'figure.png'
    monkeypatch.setattr('sys.argv', ['plot_repeats', '--out', str(out), '--methods', 'coop'])
    plot_repeats.main()
    told = capsys.readouterr().out
    assert out.read_bytes().startswith(b'\x89PNG')
    assert 'coop, fp64: 10: 2e-01, 50: 2e-01, 100: 2e-01, 103: 2e-01' in told
    assert told.count('accuracies 90.00 and 90.00') == len(plot_repeats.PRECISIONS)
