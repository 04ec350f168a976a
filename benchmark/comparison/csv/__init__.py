"""Statistics of a plain CSV file, for the command ``stats``."""
