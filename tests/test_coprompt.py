"""CoPrompt: two views of each image, sentences per class, what a step draws."""

import json

import pytest
import torch
import torch.nn.functional as F
from helpers.classifier import METHODS, SENTENCES, build, samples
from helpers.plain import CLASSES, encode_text
from helpers.short_runs import short_config
from mmengine.logging import MessageHub
from mmpretrain.registry import DATASETS
from mmpretrain.structures import DataSample

from mmdpt.engine.recipe import make_recipe

HEAD = METHODS['coprompt']['head']


def without(name):
    """The head's config, less one option."""
    return {k: v for k, v in HEAD.items() if k != name}


def test_both_views_go_the_same_way():
    """The second one is normalised, and turned to RGB, as the first."""
    model = build('coprompt').train()
    views = torch.stack([sample.img2 for sample in samples()])
    found = model.match(torch.randn(5, 3, 32, 32), samples()).second_image
    images = model.data_preprocessor(dict(inputs=views))['inputs']
    assert images.std() < 3 and not torch.equal(images, views)
    torch.testing.assert_close(found, model.clip_features(images))
    assert not found.requires_grad


def test_the_pipeline_makes_two_views_of_one_image(tmp_path):
    """Each epoch others; the label and the first view are those of other methods."""
    cfg = short_config('coprompt', tmp_path)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    plain = DATASETS.build(dict(cfg.train_dataloader.dataset, pipeline=list(cfg.train_pipeline)))
    pairs = []
    for epoch in (0, 1):
        dataset.set_epoch(epoch)
        data = dataset[3]
        first, second = data['inputs'], data['data_samples'].img2
        assert first.shape == (3, 32, 32) and second.shape == (32, 32, 3)
        assert (first.permute(1, 2, 0).numpy() != second).any()
        pairs.append((first, second))
    assert (pairs[0][1] != pairs[1][1]).any() and not torch.equal(pairs[0][0], pairs[1][0])
    assert data['data_samples'].gt_label == plain[3]['data_samples'].gt_label


def test_the_sentences_features_are_frozen_clip_s():
    model = build('coprompt')
    given = json.loads(open(SENTENCES).read())
    tower = model.text_tower
    rows = [
        [given[name.replace('_', ' ')][k] for name in CLASSES] for k in range(3)
    ]  # by number, then class
    for k, row in enumerate(rows):
        ids = [[*tower.start, *tower.tokenizer.encode(text), *tower.end] for text in row]
        slow = encode_text(tower, [tower.token_embedding.weight[i] for i in ids])
        torch.testing.assert_close(model.head.sentence_features()[k], F.normalize(slow, dim=-1))
    assert not model.head.sentence_features().requires_grad
    assert not any('sentence' in name or 'features' in name for name in model.state_dict())


def test_a_class_with_fewer_sentences_begins_again(tmp_path):
    given = {name: [f'{name} {k}.' for k in range(3)] for name in CLASSES}
    given['ox'] = given['ox'][:2]
    file = tmp_path / 'some.json'
    file.write_text(json.dumps(given))
    model = build('coprompt', head=dict(HEAD, sentences=str(file)))
    sentences = model.head.sentences
    assert len(sentences) == 3 and sentences[2][3] == sentences[0][3] != sentences[1][3]
    assert sentences[2][0] != sentences[0][0]


def test_the_draw_depends_on_seed_and_iteration_alone():
    head, hub = build('coprompt').head, MessageHub.get_current_instance()

    def drawn(seed):
        found = []
        hub.update_info('seed', seed)
        for step in range(60):
            hub.update_info('iter', step)
            torch.manual_seed(len(found))
            found.append(head.draw())
        return found

    try:
        assert drawn(1) == drawn(1) != drawn(2)
        assert {drawn(1).count(k) > 8 for k in range(3)} == {True}
    finally:
        hub.runtime_info.clear()


def test_without_what_it_trains_with():
    images = torch.randn(5, 3, 32, 32)
    model = build('coprompt', head=without('sentences')).train()
    with pytest.raises(ValueError, match='set model.head.sentences'):
        model.loss(images, samples())
    with pytest.raises(ValueError, match="no 'img2': make one in .*KeyMapper"):
        build('coprompt').train().loss(images, [DataSample().set_gt_label(0) for _ in range(5)])
    model.eval()(images)  # predicting takes neither


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(weight=-1), 'weight must be a number of at least 0'),
        (dict(image_share=1.5), 'image_share must be at most 1'),
        (dict(text_share=-0.1), 'text_share must be a number of at least 0'),
        (dict(reduction=33), 'reduction must be a whole number from 1 to 32'),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        build('coprompt', head=dict(HEAD, **options))


def test_wrong_combinations():
    with pytest.raises(ValueError, match="without a description: 'zebra'"):
        build('coprompt', classes=[*CLASSES, 'zebra'])
    with pytest.raises(ValueError, match='which model.tuning changes'):
        build('coprompt', tuning=dict(type='LoRA'))
    with pytest.raises(ValueError, match='CoPromptHead guides learnt text features'):
        build('zeroshot', head=HEAD)
    with pytest.raises(ValueError, match='CoPromptHead needs text features that all images'):
        build('cocoop', head=HEAD)


def test_other_classes_may_be_described_as_well():
    """So one file serves both halves of a benchmark."""
    half = build('coprompt', classes=CLASSES[2:])
    assert half.head.sentence_features().shape == (3, 2, 32)
    both = build('coprompt')
    torch.testing.assert_close(half.head.sentence_features(), both.head.sentence_features()[:, 2:])


def test_other_classes_take_over_everything():
    old = build('coprompt')
    new = build('coprompt', classes=['zebra', 'ox'], head=without('sentences'), transfer=True)
    new.load_state_dict(old.state_dict())
    torch.testing.assert_close(
        new.eval().match(torch.randn(2, 3, 32, 32)).text[1],
        old.eval().match(torch.randn(2, 3, 32, 32)).text[3],
    )


def test_a_checkpoint_names_no_file(tmp_path):
    """Predicting from it takes no sentences, and it may not ask for a file."""
    cfg = short_config('coprompt', tmp_path)
    assert cfg.model.head.sentences.endswith('digits.json')
    recipe = make_recipe(cfg)
    assert recipe['model']['head'] == dict(
        type='CoPromptHead', weight=0.5, image_share=0.1, text_share=0.2
    )


def test_without_sentences_it_predicts_and_does_not_train():
    model = build('coprompt', head=without('sentences'))
    with pytest.raises(ValueError, match='CoPromptHead trains with sentences per class: set model'):
        model.check_trainable()
    build('coprompt').check_trainable()
