"""What a trained run says of pictures: runs and exports as one kind of object, and photos scored as they are read."""
