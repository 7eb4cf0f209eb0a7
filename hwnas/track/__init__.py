"""What happened: store, console, MLflow, report."""
