"""Independent stages side by side: on this machine, or on a cluster."""
