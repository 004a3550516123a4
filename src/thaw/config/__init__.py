"""The whole of params.yaml: loading, checking, presets, reference; inputs, and what precedes DVC."""
