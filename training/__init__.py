"""How the two small models of the demo are trained; nothing of this is needed to run surveil."""

import os

# Read by torch's threads when they begin: on cores that have other work too, they else spend most of their time in
# waiting for each other (10 s a step instead of 1 s, beside one more busy process).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
