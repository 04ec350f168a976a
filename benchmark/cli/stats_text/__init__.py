"""Text output of the command ``stats``: short tables, and sentences that claim no more than the results."""
