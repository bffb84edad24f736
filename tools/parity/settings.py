"""A case's settings, with a record of which were read."""

from collections.abc import Sequence

# Keys that say where numbers come from, or repeat what the arrays hold.
DESCRIPTIVE = {
    'allmiss',
    'augment_epochs',
    'batch',
    'case',
    'clip_seed',
    'class_names',
    'classes',
    'clip',
    'code',
    'commit',
    'parameters_without_gradient',
    'public_code',
    'replaced',
    'conflicting',
    'dassl_commit',
    'dataset_name',
    'dataset_name_for_template',
    'description_note',
    'dtype_of_computation',
    'embed',
    'feature_size',
    'gpa',
    'image_size',
    'label_in_topk',
    'learnable',
    'licence',
    'method',
    'min_gap_of_sorted_zeroshot_logits',
    'note',
    'scipy',
    'script',
    'seed',
    'shots',
    'solver_sensitivity',
    'tensors',
    'torch',
    'what',
}


class NotImplementedCase(Exception):
    """The case needs something that this version does not have."""


def check_names(names: Sequence[str]) -> None:
    """Raise unless these are classes of a model of ours.

    Raises:
        NotImplementedCase: If a name comes twice, or there is but one.
    """
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice or len(names) < 2:
        raise NotImplementedCase(f'class names that come twice: {twice}' if twice else f'{names}')


class Settings(dict):
    """The metadata of a case; nested ones, too, know what was read."""

    def __init__(self, values: dict):
        super().__init__({k: Settings(v) if k == 'trajectory' else v for k, v in values.items()})
        self.seen = set()

    def __getitem__(self, key):
        self.seen.add(key)
        return super().__getitem__(key)

    def get(self, key, default=None):
        self.seen.add(key)
        return super().get(key, default)

    def one_of(self, key: str, allowed: Sequence):
        """The value; the first that is allowed where there is none.

        Raises:
            NotImplementedCase: If it is another one.
        """
        value = self.get(key, allowed[0])
        if value not in allowed:
            raise NotImplementedCase(f'{key}={value!r}')
        return value

    def unread(self) -> list[str]:
        """Settings that no computation has asked for."""
        names = [k for k in self if k not in self.seen | DESCRIPTIVE]
        for key, value in self.items():
            if isinstance(value, Settings):
                names += [f'{key}.{name}' for name in value.unread()]
        return names
