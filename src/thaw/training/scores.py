"""Scores while training, as a Keras metric."""

from thaw.base.quiet import keras, tf


class Scores(keras.metrics.Metric):
    """Accuracy and macro precision, recall and F1 over the batches seen, as scikit-learn defines them (zero where
    undefined).

    Labels (b,) int, logits (b, classes) float32; the result is a mapping of four numbers in [0, 1].
    """

    def __init__(self, classes: int) -> None:
        super().__init__(name="scores")
        self.classes = classes
        self.confusion = self.add_variable((classes, classes), initializer="zeros", name="confusion")

    def update_state(self, labels: tf.Tensor, logits: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Count a batch; weights of samples are not used."""
        true = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), self.classes)
        predicted = keras.ops.one_hot(keras.ops.argmax(logits, axis=-1), self.classes)
        self.confusion.assign_add(keras.ops.matmul(keras.ops.transpose(true), predicted))

    def result(self) -> dict[str, tf.Tensor]:
        """Return {accuracy, precision, recall, f1}."""
        hits = keras.ops.diagonal(self.confusion)
        precision = keras.ops.divide_no_nan(hits, keras.ops.sum(self.confusion, axis=0))
        recall = keras.ops.divide_no_nan(hits, keras.ops.sum(self.confusion, axis=1))
        f1 = keras.ops.divide_no_nan(2 * precision * recall, precision + recall)
        return {
            "accuracy": keras.ops.divide_no_nan(keras.ops.sum(hits), keras.ops.sum(self.confusion)),
            **{
                name: keras.ops.mean(score)
                for name, score in (("precision", precision), ("recall", recall), ("f1", f1))
            },
        }

    def reset_state(self) -> None:
        """Forget what was counted."""
        self.confusion.assign(keras.ops.zeros_like(self.confusion))
