"""Stage export: a trained run as files that run without thaw, each checked against the Keras network."""
