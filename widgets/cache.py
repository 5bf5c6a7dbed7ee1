"""The old place of `widgets.state.cache`, for what has not moved along yet."""

import sys

from widgets.state import cache

sys.modules[__name__] = cache
