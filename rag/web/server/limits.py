"""How much is taken on at once, and what is said when it is more."""

AT_ONCE = 4  # questions in work at each door; the encoder takes them one after the other, and more only wait together
WAITING = 64  # in the line of each door; who comes later is told so at once
BUSY = f"{WAITING} questions are waiting already; ask again in a moment"
RETRY_AFTER_S = 5

MAX_UPLOAD_FILES = 20  # of the largest size, in one request
MAX_CHAT_MB = 1  # a conversation by /v1
MAX_BODY_MB = 16  # any other request: the page sends back what it keeps of a conversation, with all its sources
MAX_UPLOADS_WAITING = 8  # behind the one that is read; who comes later is told so at once

READ_S = 60.0  # for reading one uploaded file, and for each megabyte of it as much again as follows
READ_S_PER_MB = 10.0
READ_MEMORY_MB = 2048  # of address space, of which a process without a model takes a third before it reads anything
