"""One assessment per study: how likely each observation is, and what every text must agree with."""
