"""From sentences and examples to tokens."""
