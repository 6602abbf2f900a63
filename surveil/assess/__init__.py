"""Room 4: the VLM says what and why, in time, or there is an honest word that it did not."""
