"""The old place of `widgets.state.session`, for what has not moved along yet."""

import sys

from widgets.state import session

sys.modules[__name__] = session
