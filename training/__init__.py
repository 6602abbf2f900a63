"""How the two small models of the demo are trained; nothing of this is needed to run surveil."""
