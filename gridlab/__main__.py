"""`python -m gridlab` is the `gridlab` command."""

import sys

from gridlab.cli import main

sys.exit(main())
