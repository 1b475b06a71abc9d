"""Cell sentences, and what models make of them."""
