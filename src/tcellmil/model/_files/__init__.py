"""Where fitted models are saved, and the data beside them."""
