"""The old place of `widgets.panels.source`, for what has not moved along yet."""

import sys

from widgets.panels import source

sys.modules[__name__] = source
