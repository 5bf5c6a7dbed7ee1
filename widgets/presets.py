"""The old place of `widgets.state.presets`, for what has not moved along yet."""

import sys

from widgets.state import presets

sys.modules[__name__] = presets
