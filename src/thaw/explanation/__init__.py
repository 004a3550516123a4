"""Stage explain: what a trained network looks at, and which photos it finds alike."""
