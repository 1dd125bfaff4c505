"""moto's server, where what changes or lists objects takes turns, since S3 does each of these at once.

moto looks whether an object is there and stores it in two steps, and fails to list what is removed meanwhile.
"""

import threading
from functools import wraps

from moto.s3.responses import S3Response
from moto.server import main

turn = threading.RLock()


def in_turn(work):
    @wraps(work)
    def wrapped(*args, **kwargs):
        with turn:
            return work(*args, **kwargs)

    return wrapped


for name in (
    "_key_response_put",
    "_key_response_delete",
    "_bucket_response_get",
    "_bucket_response_delete_keys",
):
    setattr(S3Response, name, in_turn(getattr(S3Response, name)))
main()
