"""Room 2: one thread owns the detector model, batches what the cameras have, and tracks per camera."""
