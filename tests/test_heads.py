import pytest
import torch
import torch.nn.functional as F
from helpers.plain import about, cosine_logits
from mmpretrain.structures import DataSample

from mmdpt.models.heads.base import SimilarityHead
from mmdpt.models.heads.dpt import DPTHead, GuidedHead, class_aware_loss
from mmdpt.models.heads.match import Match, similarity

ABOUT = about(None, 'abcde')


@pytest.fixture
def match():
    torch.manual_seed(0)
    random = [torch.randn(n, 8, dtype=torch.float64) for n in (4, 5, 4, 5)]
    return Match(
        image=random[0],
        text=random[1],
        scale=torch.tensor(20.0, dtype=torch.float64),
        frozen_image=random[2],
        frozen_text=random[3],
        class_ids=torch.tensor([[0, 2], [3, 1], [4, 0], [1, 2]]),
        evidence=torch.randn(2, 4, 2, 5, dtype=torch.float64),
    )


LABELS = torch.tensor([2, 3, 1, 0])  # of images 0 and 1 among the selected


def samples(labels=LABELS):
    return [DataSample().set_gt_label(int(i)) for i in labels]


def test_similarity(match):
    expected = cosine_logits(match.image, match.text, match.scale)
    torch.testing.assert_close(similarity(match.image, match.text, match.scale), expected)
    own = match.text.expand(4, -1, -1)  # text that depends on the image
    torch.testing.assert_close(similarity(match.image, own, match.scale), expected)


def test_similarity_head(match):
    head = SimilarityHead(ABOUT)
    logits = cosine_logits(match.image, match.text, match.scale)
    loss = head.loss(match, samples())
    torch.testing.assert_close(loss['loss'], F.cross_entropy(logits, LABELS))
    predictions = head.predict(match, samples())
    for sample, row in zip(predictions, logits):
        assert sample.pred_label.item() == row.argmax().item()
        torch.testing.assert_close(sample.pred_score, row.softmax(0))


def test_guidance_ends_with_its_epoch(match):
    head = GuidedHead(about=ABOUT, guided_epochs=2, logits_weight=0.1)
    s = match.scale
    for epoch in (0, 1):
        head.set_epoch(epoch)
        assert {'frozen_image', 'frozen_text'} < head.requires
        losses = head.loss(match, samples())
        assert set(losses) == {'loss_text_guide', 'loss_image_guide', 'loss_logits'}
        torch.testing.assert_close(
            sum(losses.values()),
            F.cross_entropy(cosine_logits(match.frozen_image, match.text, s), LABELS)
            + F.cross_entropy(cosine_logits(match.image, match.frozen_text, s), LABELS)
            + 0.1 * F.cross_entropy(cosine_logits(match.image, match.text, s), LABELS),
        )
    head.set_epoch(2)
    assert head.requires == {'text_prompt'}
    losses = head.loss(match, samples())
    assert losses['loss_text_guide'] == losses['loss_image_guide'] == 0
    torch.testing.assert_close(
        losses['loss_logits'], F.cross_entropy(cosine_logits(match.image, match.text, s), LABELS)
    )


def test_class_aware_loss(match):
    """Against the sentence: average over the pairs whose label is selected."""
    terms = []
    for layer in match.evidence:
        for b, label in enumerate(LABELS):
            for k, selected in enumerate(match.class_ids[b]):
                if selected == label:
                    terms.append(F.cross_entropy(layer[b, k], label))
    assert len(terms) == 4
    torch.testing.assert_close(
        class_aware_loss(match.evidence, match.class_ids, LABELS), sum(terms) / 4
    )


def test_class_aware_loss_without_a_hit(match):
    evidence = match.evidence.requires_grad_()
    loss = class_aware_loss(evidence, match.class_ids, torch.tensor([1, 0, 2, 3]))
    loss.backward()
    assert loss.item() == 0
    assert evidence.grad is not None and evidence.grad.abs().max() == 0


def test_dpt_head_weighs_the_class_aware_loss(match):
    head = DPTHead(about=ABOUT, guided_epochs=1, aux_weight=0.3)
    head.set_epoch(9)
    losses = head.loss(match, samples())
    assert losses['loss_text_guide'] == losses['loss_image_guide'] == 0
    torch.testing.assert_close(
        losses['loss_aux'], 0.3 * class_aware_loss(match.evidence, match.class_ids, LABELS)
    )


def test_mixed_labels_are_refused(match):
    mixed = [DataSample().set_gt_score(torch.ones(5) / 5) for _ in range(4)]
    with pytest.raises(ValueError, match='one label per image, which batch'):
        DPTHead(about=ABOUT, guided_epochs=1).loss(match, mixed)


@pytest.mark.parametrize(
    'options, name',
    [
        (dict(guided_epochs=-1), 'guided_epochs'),
        (dict(guided_epochs='3'), 'guided_epochs'),
        (dict(guided_epochs=1, aux_weight=-0.1), 'aux_weight'),
        (dict(guided_epochs=1, logits_weight=float('nan')), 'logits_weight'),
    ],
)
def test_bad_weights(options, name):
    with pytest.raises(ValueError, match=f'{name} must be a number of'):
        DPTHead(about=ABOUT, **options)
