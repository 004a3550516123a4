"""The networks: backbones, what is unfrozen in them, heads, cuts and costs."""
