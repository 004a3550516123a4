"""The sources of photos, a module each; `sources` makes of them one interface and one canonical layout."""
