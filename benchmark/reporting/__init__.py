"""Bundles and the leaderboards made of them: same bundles, same bytes. No torch, no clock."""
