"""What the processes of a service count together."""
