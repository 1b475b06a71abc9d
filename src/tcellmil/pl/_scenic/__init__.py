"""Pictures of regulons: how they were found, and their activity."""
