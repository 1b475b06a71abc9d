"""Language models as they are made, loaded, adapted and saved."""
