"""Tasks as data: wordings, what they read of cells or gene sets, and the examples that come of it."""
