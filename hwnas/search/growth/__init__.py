"""Progressive search: small networks first, larger ones grown from the best."""
