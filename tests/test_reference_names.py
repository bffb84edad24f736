import pytest
import torch

from mmdpt.models.reference_names import from_reference, to_reference


def test_there_and_back():
    theirs = {
        'prompt_learner.ctx': torch.randn(4, 8),
        'prompt_learner.meta_net.linear1.weight': torch.randn(2, 4),
        'image_encoder.transformer.ctx_learner.ctx': torch.randn(3, 4, 8),
        'image_encoder.transformer.extractor.ctx': torch.randn(2, 4, 8),
        'image_encoder.transformer.extractor.attns.1.qmlp.weight': torch.randn(3, 3),
    }
    ours = from_reference(theirs)
    assert torch.equal(
        ours['visual_prompt.layers.1.tokens'], theirs['image_encoder.transformer.extractor.ctx'][1]
    )
    assert torch.equal(
        ours['visual_prompt.layers.1.query.weight'],
        theirs['image_encoder.transformer.extractor.attns.1.qmlp.weight'],
    )
    back = to_reference(ours)
    assert set(back) == set(theirs)
    assert all(torch.equal(back[n], theirs[n]) for n in theirs)


@pytest.mark.parametrize(
    'rename, message',
    [
        (from_reference, 'bias is not a learnt tensor of this method'),
        (to_reference, r'bias has no name in the reference code of this method \(choose with --m'),
    ],
)
def test_unknown_names(rename, message):
    with pytest.raises(ValueError, match=message):
        rename(dict(bias=torch.zeros(1)))
