"""CoPrompt, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/coprompt/coprompt_vitb16_eurosat_16shot.py

2 vectors, 12 layers, weight 0.1, 8 epochs with batches of 4: the authors'
setting. The sentences are our own; theirs, 10 per class, are in the folder
gpt_file of their code: set model.head.sentences to such a file.
"""

_base_ = ['../_base_/methods/coprompt.py', '../_base_/datasets/eurosat.py']

model = dict(
    arch='ViT-B-16-quickgelu',
    classes=_base_.dataset.name,
    head=dict(sentences='{{fileDirname}}/eurosat.json', weight=0.1),
)
train_dataloader = dict(batch_size=4, dataset=dict(shots=16, pipeline=_base_.pop('two_views')))
train_cfg = dict(max_epochs=8)
