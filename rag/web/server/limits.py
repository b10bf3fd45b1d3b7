"""Limits of the server, and the messages shown when they are exceeded."""

AT_ONCE = 4  # questions answered at once per entry point; the encoder is serial, so more would only wait there
WAITING = 64  # questions waiting per entry point; further ones are refused immediately
BUSY = f"{WAITING} questions are waiting already; ask again in a moment"
RETRY_AFTER_S = 5

MAX_UPLOAD_FILES = 20  # per request, each up to the size limit
MAX_CHAT_MB = 1  # a conversation sent to /v1
MAX_BODY_MB = 16  # any other request: the page sends back stored conversations with all their sources
MAX_UPLOADS_WAITING = 8  # behind the one being read; further ones are refused immediately

READ_S = 60.0  # for reading one uploaded file, plus READ_S_PER_MB for each megabyte
READ_S_PER_MB = 10.0
READ_MEMORY_MB = 2048  # of address space; a process without a model takes a third of it before reading anything
