"""The methods of the feature space in plain NumPy, one image and one class at a time."""

import numpy as np


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def softmax(z):
    p = np.exp(z - z.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def cross_entropy(logits, labels):
    """Mean loss, and its gradient with respect to the logits."""
    p, n = softmax(logits), len(labels)
    loss = -np.mean([np.log(p[i, y]) for i, y in enumerate(labels)])
    p[np.arange(n), labels] -= 1
    return loss, p / n


def gda(rows, labels, classes):
    """Means, precision, weight (C, E), bias."""
    x, e = unit(rows), rows.shape[1]
    means = np.array([np.mean([a for a, y in zip(x, labels) if y == c], 0) for c in range(classes)])
    covariance = np.zeros((e, e))
    for a, y in zip(x, labels):
        covariance += np.outer(a - means[y], a - means[y]) / (len(x) - 1)
    shrunk = (len(x) - 1) * covariance + np.trace(covariance) * np.eye(e)
    precision = e * np.linalg.pinv(shrunk)
    bias = [np.log(1 / classes) - m @ precision @ m / 2 for m in means]
    return means, precision, means @ precision, np.array(bias)


def gda_base(rows, labels, classes):
    """The same where other classes will follow: the mean of the classes' covariances, too."""
    x, e = unit(rows), rows.shape[1]
    own = [x[labels == c] for c in range(classes)]
    means = np.array([part.mean(0) for part in own])
    covariance = sum((p - m).T @ (p - m) / (len(p) - 1) for p, m in zip(own, means)) / classes
    precision = np.linalg.pinv(covariance, rcond=e * np.finfo(float).eps)
    bias = [np.log(1 / classes) - m @ precision @ m / 2 for m in means]
    return means, precision, means @ precision, np.array(bias), covariance


def gda_new(rows, text, nearest, copies):
    """Nearest rows, means, precision, weight and bias of classes without images."""
    x, e = unit(rows), rows.shape[1]
    means, precision, indices = [], np.zeros((e, e)), []
    for w in unit(text):
        indices.append(np.argsort(-(x @ w), kind='stable')[:nearest])
        chosen = x[indices[-1]]
        means.append((chosen.sum(0) + copies * w) / (nearest + copies))
        covariance = (chosen - w).T @ (chosen - w) / (nearest - 1)
        shrunk = (nearest - 1) * covariance + np.trace(covariance) * np.eye(e)
        precision += e * np.linalg.pinv(shrunk) / len(text)
    bias = [np.log(1 / len(text)) - m @ precision @ m / 2 for m in means]
    means = np.array(means)
    return np.array(indices), means, precision, means @ precision, np.array(bias)


def lppp_start(rows, labels, text):
    """Start values and rates."""
    x, w = unit(rows), unit(text)
    n, classes = len(x), len(text)
    cosines = x @ w.T
    means = [np.mean([cosines[i, c] for i in range(n) if labels[i] == c]) for c in range(classes)]
    largest = np.linalg.eigvalsh(x.T @ x).max()
    return dict(
        weight=np.array([sum(a for a, y in zip(x, labels) if y == c) for c in range(classes)]),
        alpha=np.full(classes, 250 * np.mean(means)),
        alpha_class_cosines=np.array(means),
        gram_largest_eigenvalue=largest,
        lr_weight=4 * n / largest,
        lr_alpha=n / (4 * (cosines**2).sum(0).max()),
    )


def lppp(rows, labels, text, bias, epochs, period, momentum):
    """Loss, gradients, and weight, bias and alpha after each epoch."""
    x, start = unit(rows), lppp_start(rows, labels, text)
    cosines, weight, alpha = x @ unit(text).T, start['weight'], start['alpha']
    speed_w, speed_b, summed = np.zeros_like(weight), np.zeros_like(bias), np.zeros(len(text))
    for epoch in range(1, epochs + 1):
        loss, slope = cross_entropy(x @ weight.T + bias + alpha * cosines, labels)
        summed = summed + (slope * cosines).sum(0)
        grads = dict(weight=slope.T @ x, bias=slope.sum(0), alpha=summed)
        speed_w = momentum * speed_w + grads['weight']
        speed_b = momentum * speed_b + grads['bias']
        weight = weight - start['lr_weight'] * speed_w
        bias = bias - start['lr_weight'] * speed_b
        if epoch % period == 0:
            alpha = alpha - start['lr_alpha'] * summed
        yield dict(loss=loss, grads=grads, weight=weight, bias=bias, alpha=alpha)


def cosine_slope(rows, prototypes, scale, slope):
    """Gradient of scaled cosines with respect to the prototypes."""
    norms = np.linalg.norm(prototypes, axis=1, keepdims=True)
    direction = scale * slope.T @ unit(rows)  # with respect to the unit prototypes
    p = prototypes / norms
    return (direction - (direction * p).sum(1, keepdims=True) * p) / norms


def clap_multipliers(rows, labels, text, scale):
    """Mean zero-shot probability of each class's own rows."""
    zero_shot = softmax(scale * unit(rows) @ unit(text).T)
    own = [[zero_shot[i, c] for i, y in enumerate(labels) if y == c] for c in range(len(text))]
    return np.array([np.mean(values) for values in own])


def clap(rows, labels, text, scale, plan, momentum, multipliers=0.0, adaptive=False, decay=0.0):
    """Loss, gradient, prototypes, multipliers and their growth after each step.

    ``plan`` holds the rate and the batches (rows) of each epoch.
    """
    prototypes, speed, growth = text.copy(), np.zeros_like(text), np.zeros(len(text))
    for rate, batches in plan:
        for i, batch in enumerate(batches):
            logits = scale * unit(rows[batch]) @ unit(prototypes).T
            loss, slope = cross_entropy(logits, labels[batch])
            far = prototypes - text
            loss += np.mean(multipliers * (far**2).sum(1))
            gradient = cosine_slope(rows[batch], prototypes, scale, slope)
            gradient += 2 * (np.zeros(len(text)) + multipliers)[:, None] * far / len(text)
            speed = momentum * speed + gradient + decay * prototypes
            prototypes = prototypes - rate * speed
            if adaptive and i == len(batches) - 1:
                distance = ((prototypes - text) ** 2).sum(1)
                multipliers = np.maximum(0, multipliers + growth * distance)
                growth = distance
            yield dict(
                lr=rate,
                loss=loss,
                gradient=gradient,
                prototypes=prototypes,
                multipliers=multipliers,
                penalty=growth,
                ends=i == len(batches) - 1,
            )


def prolip(views, labels, text, start, scale, epochs, rate, weight):
    """Both losses, gradient, rate, and the projection after each epoch of Adam."""
    proj, m, v = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for epoch in range(epochs):
        x = views[(epoch + 1) % len(views)]
        features = x @ proj
        norms = np.linalg.norm(features, axis=1, keepdims=True)
        f = features / norms
        loss, slope = cross_entropy(scale * f @ unit(text).T, labels)
        far = ((proj - start) ** 2).sum()
        direction = scale * slope @ unit(text)
        direction = (direction - (direction * f).sum(1, keepdims=True) * f) / norms
        gradient = x.T @ direction + 2 * weight * (proj - start)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        step = m / (1 - 0.9 ** (epoch + 1))
        size = np.sqrt(v / (1 - 0.999 ** (epoch + 1))) + 1e-4
        now = rate / 2 * (1 + np.cos(np.pi * epoch / epochs))
        proj = proj - now * step / size
        yield dict(lr=now, loss_ce=loss, loss_penalty=far, gradient=gradient, proj=proj)


def ape_space(views, labels, text, channels, weights):
    """Keys, and the channels that are kept, with what they are chosen by."""
    keys, w, classes = unit(views.mean(0)), unit(text), len(text)
    likeness, pairs = np.zeros(keys.shape[1]), 0
    groups = [[w[c], *(k for k, y in zip(keys, labels) if y == c)] for c in range(classes)]
    for i in range(classes):
        for j in range(classes):
            for a in groups[i] if i != j else ():
                for b in groups[j]:
                    likeness, pairs = likeness + a * b, pairs + 1
    similarity = likeness / pairs
    criterion = -weights[0] * similarity + weights[1] * w.var(0, ddof=1)
    return keys, similarity, criterion, np.argsort(-criterion, kind='stable')[:channels]


def ape_far(keys, text, labels):
    """How far the keys' answers are from their labels, in the channels that are given."""
    answers = softmax(unit(keys) @ unit(text).T)
    return np.array([np.log2((1 + 1e-6) / (a[y] + 1e-6)) for a, y in zip(answers, labels)])


def ape(keys, kept, labels, text, query, setting, scale):
    """Logits of queries."""
    alpha, beta, gamma = setting
    values = np.eye(len(text))[labels]
    values = values * np.exp(gamma * ape_far(keys[:, kept], text[:, kept], labels))[:, None]
    near = unit(query[:, kept]) @ unit(keys[:, kept]).T
    return scale * unit(query) @ unit(text).T + alpha * np.exp(-beta * (1 - near)) @ values
