"""Tip-Adapter-F: the cache's keys are learnt further.

    python tools/train.py configs/tip_adapter/tip_adapter_f_vitb16_eurosat_16shot.py

`Tip-Adapter <https://arxiv.org/abs/2207.09519>`_, section 3.2

AdamW, eps 1e-4, rate 0.001 with a cosine that moves in every step, 20 epochs
(EuroSAT 100), batch 256: the authors' configs and code; the rest as in
tip_adapter.py. They keep the epoch that is best on the test set and search
twice; here the last epoch is taken, and the test set is used once.
"""

_base_ = ['./tip_adapter.py']

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.001, eps=1e-4, weight_decay=0.01)
)
param_scheduler = dict(
    _delete_=True, type='CosineAnnealingLR', eta_min=0, by_epoch=True, convert_to_iter_based=True
)

# the cache is filled with 10 views; each epoch sees one of its own
loop = dict(steps=True, max_epochs=20, views='epochs', fit=dict(views=10))
