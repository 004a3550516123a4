"""The store of prefix activations: what a frozen prefix makes of each image, computed once.

An entry is a folder with one float32 array, opened as a memory map, and a document that says what it is. Entries lie
outside DVC and git, in the folder that THAW_STORE names (default `.thaw/activations`; `none` stores nothing). The
name of an entry is the digest of everything that its values depend on, so it never goes stale, and any run with the
same prefix on the same images shares it. The entries used least recently make room for new ones.
"""
