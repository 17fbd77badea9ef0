"""The steps, one module each. A step that was released never changes."""
