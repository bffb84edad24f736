"""How a training runs: hooks, checkpoints, logs, randomness.

Like MMPretrain's ``_base_/default_runtime.py``, with this project's
checkpoints (safe to load, written atomically), per-epoch randomness and the
few-shot report.
"""

custom_imports = dict(imports=['mmdpt'], allow_failed_imports=False)
default_scope = 'mmpretrain'

default_hooks = dict(
    runtime_info=dict(type='LoggedInfoHook'),
    timer=dict(type='IterTimerHook'),
    # a line at least once per epoch, with the estimated time left
    logger=dict(type='MainProcessLoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # the newest two, so that a good one is on the disk at any moment
    checkpoint=dict(type='PromptCheckpointHook', interval=1, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='VisualizationHook', enable=False),
    epoch_seed=dict(type='EpochSeedHook'),
    mean_loss=dict(type='MeanLossHook'),  # over several processes
    same_training=dict(type='SameTrainingHook'),  # in all of them
    stop_on_nan=dict(type='StopOnNaNHook'),
    # images decoded once and augmented in batches; the same pixels, see docs/speed_gpu.md
    device_images=dict(type='DeviceImagesHook', enable=False),
    # zero-shot accuracy before, few-shot accuracy after the training; add
    # baselines=['linear_probe'] to compare with
    report=dict(type='FewShotReportHook'),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    # seconds until the others give up on a process that hangs
    dist_cfg=dict(backend='nccl', timeout=600),
)
visualizer = dict(type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
log_processor = dict(by_epoch=True, window_size=10)
log_level = 'INFO'

load_from = None  # start from these prompts
resume = False  # go on with a training; see tools/train.py --resume
randomness = dict(seed=1, deterministic=False)
