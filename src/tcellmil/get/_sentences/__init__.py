"""Cell sentences, and what models made of them, as tables."""
