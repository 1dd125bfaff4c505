"""Signs a request as Amazon's own library does: JSON on standard input, the signature on standard output."""

import json
import sys

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

given = json.load(sys.stdin)
request = AWSRequest(method=given["method"], url=given["origin"] + given["path"], headers=given["headers"])
request.context["timestamp"] = given["headers"]["x-amz-date"]
auth = S3SigV4Auth(Credentials(given["accessKeyId"], given["secretAccessKey"]), "s3", given["region"])
canonical = auth.canonical_request(request)
print(auth.signature(auth.string_to_sign(request, canonical), request))
