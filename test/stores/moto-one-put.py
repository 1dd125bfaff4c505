"""moto's server, with one PUT at a time: it looks whether an object is there and stores it in two steps, S3 does both at once."""

import threading

from moto.s3.responses import S3Response
from moto.server import main

turn = threading.Lock()
put = S3Response._key_response_put


def put_in_turn(self, *args, **kwargs):
    with turn:
        return put(self, *args, **kwargs)


S3Response._key_response_put = put_in_turn
main()
