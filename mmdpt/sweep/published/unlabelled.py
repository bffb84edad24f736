"""What learns from images without labels, which are not drawn by shots."""

from .settings import Settings

LESS = ('fgvcaircraft', 'flowers102', 'dtd')


def _promptkd(dataset: str) -> Settings:
    teacher = dict(
        model=dict(arch='ViT-L-14-quickgelu', pretrained='openai', transfer=False), checkpoint=None
    )
    weight: dict = dict(head=dict(weight=200.0)) if dataset in LESS else {}
    notes = ' Weight 200: theirs.' if weight else ''
    notes += ' The teacher is frozen CLIP; see promptkd_vitb16_eurosat.py for a trained one.'
    model = dict(**weight, teacher=teacher)
    return Settings(20, "the authors' setting", notes, 8, model=model, data=', unlabelled=True')


METHODS = dict(promptkd=_promptkd)
