"""Judge synthetic images against real ones by the images alone: no task, and no training."""
