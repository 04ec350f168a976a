"""Packaged datasets: procedural thoracic images with known anatomy, findings, masks and patients."""
