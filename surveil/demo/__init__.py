"""The yard that is filmed where there is no camera: drawn, encoded and served as a real one would be."""
