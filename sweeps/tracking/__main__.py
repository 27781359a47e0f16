"""``python -m sweeps.tracking``: the tracker's process."""

from sweeps.tracking.process import main

main()
