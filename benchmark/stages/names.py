"""Names that stages and planning share."""

from __future__ import annotations

REAL_ONLY = "real_only"
