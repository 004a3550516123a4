"""Stages baseline_cnn, train_frozen, finetune, replicate and crossvalidate."""
