"""Base: what every package stands on."""
