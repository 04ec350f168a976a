"""The memorization gate, which is no metric: it refuses a rank to a row that copies training images."""
