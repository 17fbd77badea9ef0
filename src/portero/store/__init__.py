"""The only place that keeps rows of Portero's own: engines, tables, migrations; it decides nothing about who may do what."""
