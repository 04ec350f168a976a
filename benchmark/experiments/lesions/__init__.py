"""Requests for lesions by finding, side, zone, size and severity, and what they become for a generator."""
