"""From an X-ray and hits to grounded text."""
