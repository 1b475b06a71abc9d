"""Pictures of cells as sentences."""
