"""Models that strategies learn with torch, imported only where one is made."""
