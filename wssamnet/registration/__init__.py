"""Registration methods behind one protocol."""
