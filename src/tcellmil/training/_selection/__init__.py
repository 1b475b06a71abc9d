"""What is trained: what is left open is resolved, and configurations are weighed and calibrated."""
