"""Cell sentences and language models of them, on arrays and text; nothing here knows AnnData."""
