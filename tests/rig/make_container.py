"""Makes a container in an Azure Blob emulator, which no client that the tests use can do.

    make_container.py ENDPOINT ACCOUNT KEY CONTAINER

Signs as https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key says.
A container that is there already is no error.
"""

import base64
import email.utils
import hashlib
import hmac
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit


def main():
    endpoint, account, key, container = sys.argv[1:]
    headers = {"x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    named = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    # The emulator's URLs hold the account, and its resources hold it twice.
    resource = f"/{account}{urlsplit(endpoint).path}/{container}\nrestype:container"
    text = "PUT" + "\n" * 12 + named + resource
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {account}:{base64.b64encode(digest).decode()}"
    headers["Content-Length"] = "0"
    url = f"{endpoint}/{container}?restype=container"
    request = urllib.request.Request(url, method="PUT", headers=headers)
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except urllib.error.HTTPError as error:
        if error.code != 409:
            raise


if __name__ == "__main__":
    main()
