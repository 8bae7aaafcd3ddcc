"""The HTTP API: JSON in, JSON out, problems with remedies; one table of addresses."""
