"""Classification accuracy over batches, and how often a backend's class differs from the reference's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from normdeploy.dtypes import Array


def predicted_classes(outputs: Mapping[str, Array], output: str, samples: int) -> Array:
    """The class with the highest score, for each of the first rows of an output; -1 where a score is NaN.

    Args:
        outputs: arrays by name.
        output: the name of the one with the scores, a row for each sample.
        samples: how many rows count; those that only fill a batch come after them.
    """
    scores = outputs[output]
    rows = scores.reshape(scores.shape[0], -1)[:samples]
    classes: Array = np.where(np.isnan(rows).any(axis=1), -1, np.argmax(rows, axis=1))
    return classes


def scores_output(outputs: Mapping[str, Array], rows: int) -> str | None:
    """The first output that has a row per sample and more than one floating score in each.

    Args:
        outputs: arrays by name.
        rows: of the batch.
    """
    for name, array in outputs.items():
        if array.dtype.kind == "f" and array.ndim >= 2 and array.shape[0] == rows and array[0].size > 1:
            return name
    return None


class Tally:
    """Counts right and flipped predictions."""

    def __init__(self) -> None:
        self.samples = self.labelled = self.right = self.flips = 0

    def add(self, predicted: Array, labels: Array | None, reference: Array) -> None:
        """Count one batch.

        Args:
            predicted: the classes that were predicted.
            labels: the right ones, if they are known.
            reference: the classes that the reference predicts.
        """
        self.samples += reference.size
        if labels is not None:
            self.labelled += labels.size
            self.right += int(np.count_nonzero(predicted == labels))
        self.flips += int(np.count_nonzero(predicted != reference))

    @property
    def accuracy(self) -> float | None:
        """The share of right ones; None if no label was known."""
        return self.right / self.labelled if self.labelled else None
