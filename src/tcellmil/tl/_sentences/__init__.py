"""Cell sentences: texts, models that read and write them, and back to cells."""
