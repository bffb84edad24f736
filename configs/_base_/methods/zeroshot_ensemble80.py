"""Zero-shot CLIP with the 80 templates that CLIP's authors use for ImageNet.

    python tools/test.py configs/zeroshot/zeroshot_ensemble80_vitb16_imagenet.py

`Learning Transferable Visual Models From Natural Language Supervision
<https://arxiv.org/abs/2103.00020>`_, section 3.1.4, and
notebooks/Prompt_Engineering_for_ImageNet.ipynb in openai/CLIP (MIT); the same
list as open_clip.OPENAI_IMAGENET_TEMPLATES. 80 texts per class are encoded, once.
"""

_base_ = ['./zeroshot.py']
import open_clip  # noqa: E402

model = dict(templates=[fill('{}') for fill in open_clip.OPENAI_IMAGENET_TEMPLATES])
