"""The chat page: what it is made of, and how it is served."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported, which modules of this package do
