"""The values of ``metrics.json`` one image at a time, after the definitions of its README."""

import math

import numpy as np
from sklearn.preprocessing import KBinsDiscretizer


def softmax(row):
    top = max(row)
    parts = [math.exp(x - top) for x in row]
    return [part / sum(parts) for part in parts]


def mean(values):
    return sum(values) / len(values)


def gaps(pairs, bins):
    """Size and gap of each group of (confidence, right) that has any."""
    groups = [[p for p, place in zip(pairs, bins) if place == b] for b in sorted(set(bins))]
    return [(len(g), abs(mean([r for _, r in g]) - mean([c for c, _ in g]))) for g in groups]


def weighted(pairs, bins):
    return sum(n * gap for n, gap in gaps(pairs, bins)) / len(pairs)


def right_closed(values, count):
    """The bin (a, b] of each."""
    edges = np.linspace(0, 1, count + 1)
    return [max(0, next(i for i, edge in enumerate(edges) if v <= edge) - 1) for v in values]


def left_closed(values, count):
    """The bin [a, b) of each; 1 is in one of its own."""
    edges = np.linspace(0, 1, count + 1)
    return [sum(v >= edge for edge in edges) - 1 for v in values]


def quantile_bins(values, count, method):
    made = KBinsDiscretizer(count, encode='ordinal', strategy='quantile', quantile_method=method)
    return made.fit_transform(np.array(values)[:, None])[:, 0].tolist()


def ece(pairs, count):
    """1 is in no bin, but counts in the weight of the last, whose gap is that of the others."""
    places = left_closed([c for c, _ in pairs], count)
    known = {}
    for b in set(places) - {count}:
        [(n, gap)] = gaps(
            [p for p, place in zip(pairs, places) if place == b], [0] * places.count(b)
        )
        known[b] = n * gap
        if b == count - 1:
            known[b] = (n + places.count(count)) * gap
    return sum(known.values()) / len(pairs)


def equal_counts(pairs, count):
    """Bins of the sorted pairs, the first ones larger."""
    sizes = [len(pairs) // count + (i < len(pairs) % count) for i in range(count)]
    bins = [b for b, size in enumerate(sizes) for _ in range(size)]
    return weighted(sorted(pairs, key=lambda pair: pair[0]), bins)


def risks(pairs):
    wrong = [1 - right for _, right in sorted(pairs, key=lambda pair: -pair[0])]
    return [sum(wrong[:k]) / k for k in range(1, len(wrong) + 1)]


def f1(predicted, labels, c):
    hit = sum(p == y == c for p, y in zip(predicted, labels))
    named = predicted.count(c) + labels.count(c)
    return 2 * hit / named if named else 0.0


def classification(logits, labels, bins):
    p = [softmax(row) for row in logits]
    predicted = [row.index(max(row)) for row in logits]
    confidence, n, classes = [max(row) for row in p], len(labels), len(logits[0])
    pairs = [(c, int(a == b)) for c, a, b in zip(confidence, predicted, labels)]
    closed, places = right_closed(confidence, bins), left_closed(confidence, bins)
    places = [min(place, bins - 1) for place in places]
    own = [
        weighted(list(zip(column, told)), right_closed(column, bins))
        for column, told in (
            ([row[c] for row in p], [int(y == c) for y in labels]) for c in range(classes)
        )
    ]
    brier = mean([sum((x - (c == y)) ** 2 for c, x in enumerate(q)) for q, y in zip(p, labels)])
    logs = [
        row[y] - max(row) - math.log(sum(math.exp(x - max(row)) for x in row))
        for row, y in zip(logits, labels)
    ]
    risk, best = risks(pairs), risks([(right, right) for _, right in pairs])
    present, accuracy = sorted(set(labels)), 100 * mean([right for _, right in pairs])
    recalls = [mean([r for (_, r), y in zip(pairs, labels) if y == c]) for c in present]
    return dict(
        ece=ece(pairs, bins),
        mce_weighted=max(k * gap for k, gap in gaps(pairs, places)) / n,
        adaptive_ece=weighted(pairs, quantile_bins(confidence, bins, 'averaged_inverted_cdf')),
        adaptive_ece_linear_quantiles=weighted(pairs, quantile_bins(confidence, bins, 'linear')),
        ece_right_closed=weighted(pairs, closed),
        mce_right_closed=max(gap for _, gap in gaps(pairs, closed)),
        adaptive_ece_equal_count=equal_counts(pairs, bins),
        classwise_ece_per_class=own,
        classwise_ece=mean(own),
        brier=brier,
        brier_over_classes=brier / classes,
        nll_from_probabilities=mean(
            [-math.log(q[y]) if q[y] else math.inf for q, y in zip(p, labels)]
        ),
        nll=-mean(logs),
        aurc_trapezoid=mean([(a + b) / 2 for a, b in zip(risk, risk[1:])]),
        aurc_mean=mean(risk),
        e_aurc=mean(risk) - mean(best),
        accuracy=accuracy,
        accuracy_dassl=accuracy,
        macro_f1=100 * mean([f1(predicted, labels, c) for c in present]),
        per_class_mean_accuracy=100 * mean(recalls),
        macro_f1_all_classes=100 * mean([f1(predicted, labels, c) for c in range(classes)]),
    )


def precision(positive, negative):
    """Step-wise average precision."""
    area, before = 0.0, 0.0
    for threshold in sorted({*positive, *negative}, reverse=True):
        hits, false = (sum(s >= threshold for s in scores) for scores in (positive, negative))
        area += (hits / len(positive) - before) * hits / (hits + false)
        before = hits / len(positive)
    return area


def percentile(values, share):
    values, place = sorted(values), share * (len(values) - 1)
    low = int(place)
    return values[low] + (place - low) * (values[min(low + 1, len(values) - 1)] - values[low])


def ood(inside, outside):
    shares = [
        [sum(s >= threshold for s in scores) / len(scores) for scores in (inside, outside)]
        for threshold in sorted({*inside, *outside})  # the higher recall first
    ]
    recalls = [recall for recall, _ in shares]
    # as many scores pass a lower threshold that all of ID pass: the highest of those counts
    shares = shares[recalls.count(1.0) - 1 :]
    fpr95 = min(shares, key=lambda share: abs(share[0] - 0.95))[1]
    wins = [(a > b) + (a == b) / 2 for a in inside for b in outside]
    cut = percentile([-s for s in inside], 0.95)
    found = dict(auroc=mean(wins), aupr_in=precision(inside, outside), fpr95=fpr95)
    return dict(
        found,
        **{f'gallop_{k}': v for k, v in found.items()},
        gallop_aupr_out=precision([-s for s in outside], [-s for s in inside]),
        gallop_fpr95_percentile=mean([-s < cut for s in outside]),
        gallop_detection_accuracy=max(0.5, *((r + 1 - f) / 2 for r, f in shares)),
    )


def mcm(logits, scale, temperature):
    return [max(softmax([x / scale / temperature for x in row])) for row in logits]


def harmonic(base, new):
    return 2 * base * new / (base + new) if base + new else 0.0
