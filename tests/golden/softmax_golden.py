#!/usr/bin/env python3
"""Makes the reference numbers that tests/golden/test_softmax_golden.c compares with.

    tests/golden/softmax_golden.py        (Debian: python3-sklearn, python3-numpy)

Run by hand, never by the tests. Everything is float64 over the 2000 training rows of tests/data, pixels / 255:

    softmax_optimum.csv   LogisticRegression(multinomial) of scikit-learn with C = 1 / (l2 * n), run to convergence:
                          the objective, then ten rows of 784 coefficients and the intercept
    softmax_sgd.csv       mini-batch SGD with momentum in numpy, in the batch order of learning/random.h, which is
                          implemented here a second time: mean loss of the last epoch, then the same ten rows
"""
import math
import pathlib
import sys

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "data"
CLASSES = 10

OPTIMUM_L2 = 1e-3
SGD = {"learning_rate": 0.1, "momentum": 0.9, "batch_size": 64, "local_epochs": 3, "l2": 1e-4, "seed": 7, "round": 2}
BATCH_ORDER = 2  # RANDOM_BATCH_ORDER


def load():
    images = (DATA / "subset-train-images.idx3").read_bytes()
    labels = (DATA / "subset-train-labels.idx1").read_bytes()
    y = np.frombuffer(labels, np.uint8, offset=8).astype(int)
    x = np.frombuffer(images, np.uint8, offset=16).reshape(len(y), -1) / 255.0
    return x, y


def softmax_loss(logits, y):
    """Cross-entropy of each row, and probabilities."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    power = np.exp(shifted)
    total = power.sum(axis=1, keepdims=True)
    loss = np.log(total[:, 0]) - shifted[np.arange(len(y)), y]
    return loss, power / total


def objective(x, y, coef, intercept, l2):
    loss, p = softmax_loss(x @ coef.T + intercept, y)
    p[np.arange(len(y)), y] -= 1.0
    return loss.mean() + 0.5 * l2 * (coef ** 2).sum(), p.T @ x / len(y) + l2 * coef, p.mean(axis=0)


def optimum(x, y):
    model = LogisticRegression(multi_class="multinomial", solver="newton-cg", C=1.0 / (OPTIMUM_L2 * len(y)), tol=1e-12,
                               max_iter=100000)
    model.fit(x, y)
    loss, slope, intercept_slope = objective(x, y, model.coef_, model.intercept_, OPTIMUM_L2)
    largest = max(abs(slope).max(), abs(intercept_slope).max())
    print(f"scikit-learn {sklearn.__version__}: objective {loss:.12f}, largest gradient {largest:.2e}")
    if largest > 1e-8:
        sys.exit("not converged")
    return loss, model.coef_, model.intercept_


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(second >> 32) ^ c[1] ^ k[0], second & 0xFFFFFFFF, (first >> 32) ^ c[3] ^ k[1], first & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def words(seed, purpose, round_number, epoch):
    block = 0
    while True:
        yield from philox((block, round_number, epoch, purpose), (seed & 0xFFFFFFFF, seed >> 32))
        block += 1


def shuffled(rows, stream):
    order = list(range(rows))
    for i in range(rows, 1, -1):
        product = next(stream) * i
        if product & 0xFFFFFFFF < i:
            while product & 0xFFFFFFFF < 2 ** 32 % i:
                product = next(stream) * i
        j = product >> 32
        order[i - 1], order[j] = order[j], order[i - 1]
    return order


def sgd(x, y):
    coef, intercept = np.zeros((CLASSES, x.shape[1])), np.zeros(CLASSES)
    coef_velocity, intercept_velocity = np.zeros_like(coef), np.zeros_like(intercept)
    for epoch in range(SGD["local_epochs"]):
        order = shuffled(len(y), words(SGD["seed"], BATCH_ORDER, SGD["round"], epoch))
        losses = []
        for first in range(0, len(y), SGD["batch_size"]):
            batch = order[first:first + SGD["batch_size"]]
            loss, p = softmax_loss(x[batch] @ coef.T + intercept, y[batch])
            losses.extend(loss)
            p[np.arange(len(batch)), y[batch]] -= 1.0
            slope = p.T @ x[batch] / len(batch) + SGD["l2"] * coef
            coef_velocity = SGD["momentum"] * coef_velocity + slope
            intercept_velocity = SGD["momentum"] * intercept_velocity + p.mean(axis=0)
            coef -= SGD["learning_rate"] * coef_velocity
            intercept -= SGD["learning_rate"] * intercept_velocity
    print(f"SGD: mean loss of the last epoch {np.mean(losses):.12f}")
    return math.fsum(losses) / len(losses), coef, intercept


def write(name, loss, coef, intercept):
    lines = [f"{loss:.17g}"]
    for c in range(CLASSES):
        lines.append(",".join(f"{v:.9g}" for v in (*coef[c], intercept[c])))
    (HERE / name).write_text("\n".join(lines) + "\n")


def main():
    x, y = load()
    write("softmax_optimum.csv", *optimum(x, y))
    write("softmax_sgd.csv", *sgd(x, y))


if __name__ == "__main__":
    main()
