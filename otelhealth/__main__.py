"""`python -m otelhealth` is `otelhealth`."""

import sys

from otelhealth.cli.main import main

sys.exit(main())
