"""Leaderboards: the pages of one run and of all boards, as Markdown, JSON and HTML."""
