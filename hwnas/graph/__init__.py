"""Networks as typed graphs."""
