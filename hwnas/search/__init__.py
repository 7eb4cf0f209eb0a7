"""Search strategies, one a file, in a folder a family."""
