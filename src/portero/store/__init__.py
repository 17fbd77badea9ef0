"""The only place that keeps rows of Portero's own; it decides nothing about who may do what."""
