"""Pages: items in, HTML out. Pure: no clock, network or database."""
