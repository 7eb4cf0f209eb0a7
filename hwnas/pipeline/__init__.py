"""From a pipeline file to a finished run."""
