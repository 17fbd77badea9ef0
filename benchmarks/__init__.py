"""What Portero's speed is beside the application its users would otherwise write; `make bench`, see `run.py`."""
