"""Models from their publishers, once: resumed where a download was cut off, and checked by hash."""
