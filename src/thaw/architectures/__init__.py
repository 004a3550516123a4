"""The networks of keras.applications that a backbone can be, one row each."""
