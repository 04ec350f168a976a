"""Reader studies as pages for a browser, and figures of their answers."""
