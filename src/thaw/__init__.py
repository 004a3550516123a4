"""thaw: when you fine-tune a pretrained CNN on a small image set, what should you unfreeze?"""
