"""Tasks: data, loss, metric and training recipe, one a file."""
