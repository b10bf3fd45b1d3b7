"""The Gradio application. ``python app.py`` is ``rag serve``, with the same options and the same messages."""

import sys

from rag.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "serve")
    main()
