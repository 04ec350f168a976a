"""Third-party submissions, read as data: no code of them runs, and every value is validated."""
