"""Stage download: where photos come from."""
