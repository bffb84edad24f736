"""The optimiser of the reference code of CoOp, VPT and DPT.

SGD, momentum 0.9, weight decay 5e-4 on everything that is learnt; the rate is
constant in the warm-up, then half a cosine, changed once per epoch (Dassl's
defaults). A method sets ``optim_wrapper.optimizer.lr`` and the warm-up.
"""

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='PromptOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=0.002, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = dict(type='ConstantWarmupCosineLR', warmup_epochs=1, warmup_lr=1e-5)
