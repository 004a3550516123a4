"""The whole of params.yaml: loading, checking, presets, reference."""
