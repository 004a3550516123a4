"""./run thaw repro: the stages of dvc.yaml side by side."""
