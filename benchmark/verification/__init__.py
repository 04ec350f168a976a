"""Is a bundle what it says that it is? Everything that can be computed again is, and the rest is named."""
