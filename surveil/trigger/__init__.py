"""Room 3: what matters, and how it is told. Pure: nothing here reads a clock, starts a thread or sleeps."""
