"""Verbs that begin and end a season of the sealed test."""

from benchmark.bundles.seasons import SEASONS, close_season, open_season
from benchmark.cli.requests import CloseSeasonRequest, OpenSeasonRequest


def open_(request: OpenSeasonRequest) -> int:
    """Draw the secret of a season, and publish its commitment."""
    season = open_season(request.root, request.name, request.secret)
    print(f"{request.secret}: the secret; keep it until the season ends")
    print(f"{request.root / SEASONS}: {season.commitment}")
    return 0


def close(request: CloseSeasonRequest) -> int:
    """Reveal the secret of a season."""
    season = close_season(request.root, request.secret)
    print(f"{request.root / SEASONS}: season {season.season} is closed, its seed is {season.seed}")
    return 0
