"""Class names, templates and descriptions of a classifier."""

from mmengine.logging import print_log

from .benchmarks import repeated
from .descriptions import as_benchmark
from .layouts import resolve_classes as names_of
from .sentences import check_sentences, read_sentences

DEFAULT_TEMPLATE = 'a photo of a {}.'


def classes_and_templates(classes, templates):
    """Class names and templates as lists, from names or a benchmark.

    A benchmark may have classes of the same name (ImageNet has), which stay
    as they are, with a warning; in a list of names they are an error.
    """
    default, benchmark = DEFAULT_TEMPLATE, None
    if isinstance(classes, (str, dict)):
        source = dict(classes) if isinstance(classes, dict) else dict(benchmark=classes)
        if 'benchmark' not in source:
            raise ValueError(
                f'classes={source} names no benchmark: give '
                "benchmark='EuroSAT' (or own_benchmark's "
                'arguments), and perhaps data_root and subset.'
            )
        benchmark = as_benchmark(source['benchmark'])
        classes = names_of(**source)
        default = benchmark.templates
    classes = list(classes)
    wrong = [c for c in classes if not isinstance(c, str)]
    if wrong:
        raise TypeError(f'Class names must be text, but one is {wrong[0]!r}.')
    if len(classes) < 2:
        raise ValueError(
            f'A classifier needs at least two classes, but classes has {len(classes)}: {classes}.'
        )
    double = repeated(classes)
    if double and benchmark is None:
        raise ValueError(
            f'Class name {double[0]!r} appears more than once in classes; rename one of them.'
        )
    if double:
        print_log(
            f'{benchmark.name} gives several classes the same name: '
            f'{", ".join(double)}. As in the public benchmark they stay; '
            'prompts that all classes share cannot tell them apart.',
            logger='current',
            level=30,
        )
    return classes, resolve_templates(templates, default)


def resolve_templates(templates, default):
    """Templates as a list; None, or None among them, stands for the default."""
    templates = default if templates is None else templates
    default = [default] if isinstance(default, str) else list(default)
    templates = [templates] if isinstance(templates, str) else list(templates)
    templates = [t for item in templates for t in (default if item is None else [item])]
    if not templates:
        raise ValueError(
            "templates is empty; give at least one, such as 'a photo of a {}.', or None."
        )
    return templates


def resolve_descriptions(descriptions, source, classes):
    """Sentences of each class, from a file or a dict; None if there are none.

    Those of a benchmark are checked against all its classes; a model for a
    part of them (``subset``) gets this part's.

    Args:
        descriptions (str | dict, optional): See :func:`read_sentences`.
        source (str | dict | Sequence[str]): What the config says of the classes.
        classes (Sequence[str]): The model's.

    Raises:
        OSError, ValueError: See :func:`read_sentences`.
    """
    if descriptions is None:
        return None
    whole = classes
    if isinstance(source, dict) and source.get('subset', 'all') != 'all':
        whole = names_of(**{**source, 'subset': 'all'})
    if isinstance(descriptions, str):
        found = read_sentences(descriptions, whole)
    else:
        found = check_sentences(list(descriptions.items()), whole, 'The descriptions')
    return {name: found[name] for name in classes}
