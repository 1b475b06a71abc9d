"""Training of a language model on rows of tokens."""
