"""Room 1: one thread a camera turns packets into frames, and comes back by itself when the camera does."""
