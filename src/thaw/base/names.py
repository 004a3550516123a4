"""Names that several modules share, and users see."""

PARTS = ("train", "validation", "test")
BASELINE = "baseline_cnn"  # the run, and its section of params.yaml
PRETRAINED = "pretrained/"  # before the name of a backbone: its weights without a head, as a run's `from`
