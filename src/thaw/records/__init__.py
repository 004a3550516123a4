"""Stage preprocess: photos as TFRecords, and the pipelines that read them."""
