"""The copy detector: finds images that are altered copies of reference images, or hold parts of them."""
