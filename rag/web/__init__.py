"""The chat page and the server behind it."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # Gradio reads this on import, so it is set before any module does so
