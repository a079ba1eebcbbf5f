"""A double of Google Cloud Storage for tests: the XML API as the object_store crate speaks it.

Owns what the tests rely on: generations and their conditions, whole and ranged reads, listings in
pages, multipart uploads with the real service's limits. It holds everything in memory, and knows
one bucket and one bearer token.

Written from https://cloud.google.com/storage/docs/xml-api/reference-methods. It proves the code
path, not the cloud.

    gcs_double.py PORT BUCKET TOKEN [KEYS_A_PAGE]
"""

import base64
import email.utils
import hashlib
import itertools
import re
import socket
import sys
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

LEAST_PART_BYTES = 5 << 20  # of all parts but the last
MOST_PARTS = 10_000


class Refused(Exception):
    """An error reply."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Stored:
    """One generation of an object."""

    def __init__(self, body, generation, etag=None):
        self.body, self.generation, self.modified = body, generation, time.time()
        self.etag = f'"{etag or hashlib.md5(body).hexdigest()}"'


class Upload:
    """A multipart upload on its way."""

    def __init__(self, key):
        self.key, self.parts, self.begun = key, {}, time.time()


class Bucket:
    """Objects and uploads, each change whole under one lock."""

    def __init__(self):
        self.lock = threading.Lock()
        self.objects, self.uploads = {}, {}
        self.generations = itertools.count(time.time_ns() // 1000)
        self.upload_ids = itertools.count(1)

    def checked(self, key, condition):
        """The object, if there is one and it meets `x-goog-if-generation-match` (0: none)."""
        found = self.objects.get(key)
        if condition is not None and (found.generation if found else 0) != int(condition):
            raise Refused(412, "PreconditionFailed", "A precondition did not hold.")
        return found

    def existing(self, key, condition):
        found = self.checked(key, condition)
        if found is None:
            raise Refused(404, "NoSuchKey", "The specified key does not exist.")
        return found

    def get(self, key, condition):
        with self.lock:
            return self.existing(key, condition)

    def put(self, key, body, condition):
        with self.lock:
            self.checked(key, condition)
            self.objects[key] = Stored(body, next(self.generations))
            return self.objects[key]

    def delete(self, key, condition):
        with self.lock:
            self.existing(key, condition)
            del self.objects[key]

    def begin(self, key):
        with self.lock:
            name = f"upload{next(self.upload_ids):06}"
            self.uploads[name] = Upload(key)
            return name

    def upload(self, key, name):
        found = self.uploads.get(name)
        if found is None or found.key != key:
            raise Refused(404, "NoSuchUpload", "The requested upload was not found.")
        return found

    def put_part(self, key, name, number, body):
        if not 1 <= number <= MOST_PARTS:
            raise Refused(400, "InvalidArgument", "A part's number is from 1 to 10000.")
        part = Stored(body, 0)
        with self.lock:
            self.upload(key, name).parts[number] = part
        return part

    def abort(self, key, name):
        with self.lock:
            self.upload(key, name)
            del self.uploads[name]

    def complete(self, key, name, wanted):
        with self.lock:
            upload = self.upload(key, name)
            numbers = [number for number, _ in wanted]
            if not wanted or numbers != sorted(set(numbers)):
                raise Refused(400, "InvalidPartOrder", "Parts come in ascending order.")
            for number, etag in wanted:
                part = upload.parts.get(number)
                if part is None or part.etag.strip('"') != etag.strip('"'):
                    raise Refused(400, "InvalidPart", "A part was not found.")
            parts = [upload.parts[number].body for number in numbers]
            if any(len(part) < LEAST_PART_BYTES for part in parts[:-1]):
                raise Refused(400, "EntityTooSmall", "A part is smaller than the minimum.")
            del self.uploads[name]
            generation = next(self.generations)
            etag = f"{hashlib.md5(str(generation).encode()).hexdigest()}-{len(parts)}"
            self.objects[key] = Stored(b"".join(parts), generation, etag)
            return self.objects[key]

    def list(self, prefix, delimiter, after, most):
        """Objects, common prefixes, and the name that the next page begins behind."""
        contents, prefixes, last = [], [], ""
        with self.lock:
            names = sorted(name for name in self.objects if name.startswith(prefix))
            for name in names:
                end = name.find(delimiter, len(prefix)) if delimiter else -1
                shown = name[: end + len(delimiter)] if end >= 0 else name
                if shown <= after or prefixes and prefixes[-1] == shown:
                    continue
                if len(contents) + len(prefixes) == most:
                    return contents, prefixes, last
                last = shown
                if end >= 0:
                    prefixes.append(shown)
                else:
                    contents.append((name, self.objects[name]))
        return contents, prefixes, None

    def list_uploads(self, prefix, after, most):
        """Uploads behind the pair (key, id), and the pair that the next page begins behind."""
        with self.lock:
            found = [(upload.key, name, upload.begun) for name, upload in self.uploads.items()]
        found = sorted(one for one in found if one[0].startswith(prefix) and one[:2] > after)
        return found[:most], found[most - 1][:2] if len(found) > most else None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    bucket, bucket_name, token, page = Bucket(), "", "", 1000

    def handle_request(self):
        try:
            self.route(self.read_body())
        except Refused as refused:
            text = f"<Code>{refused.code}</Code><Message>{escape(refused.message)}</Message>"
            self.reply(refused.status, f"<Error>{text}</Error>")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request

    def read_body(self):
        length = self.headers.get("Content-Length")
        if length is None and self.command in ("PUT", "POST"):
            self.close_connection = True
            raise Refused(411, "MissingContentLength", "A body needs its length.")
        return self.rfile.read(int(length or 0))

    def route(self, body):
        url = urlsplit(self.path)
        name, _, key = url.path.lstrip("/").partition("/")
        name, key = unquote(name), unquote(key)
        query = {name: values[0] for name, values in parse_qs(url.query, True).items()}
        if self.headers.get("Authorization") != f"Bearer {self.token}":
            raise Refused(401, "AuthenticationRequired", "Authentication required.")
        if name != self.bucket_name:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist.")
        if not key and self.command == "GET":
            return self.list_uploads(query) if "uploads" in query else self.list(query)
        upload = "uploads" if "uploads" in query else "uploadId" if "uploadId" in query else None
        action = {
            ("GET", None): self.get,
            ("HEAD", None): self.get,
            ("PUT", None): self.put,
            ("DELETE", None): self.delete,
            ("POST", "uploads"): self.begin,
            ("PUT", "uploadId"): self.put_part,
            ("POST", "uploadId"): self.complete,
            ("DELETE", "uploadId"): self.abort,
        }.get((self.command, upload))
        if action is None or not key or "x-goog-copy-source" in self.headers:
            raise Refused(501, "NotImplemented", "This double does not know the request.")
        return action(key, query, body)

    def condition(self):
        return self.headers.get("x-goog-if-generation-match")

    def get(self, key, _query, _body):
        found = self.bucket.get(key, self.condition())
        status, body, headers = 200, found.body, described(found)
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if wanted and any(wanted.groups()):
            start, end = span(*wanted.groups(), len(body))
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(body)}"
            status, body = 206, body[start:end]
        self.reply(status, body, headers)

    def put(self, key, _query, body):
        self.reply(200, b"", described(self.bucket.put(key, body, self.condition())))

    def delete(self, key, _query, _body):
        self.bucket.delete(key, self.condition())
        self.reply(204, b"")

    def begin(self, key, _query, _body):
        upload = f"<UploadId>{self.bucket.begin(key)}</UploadId>"
        named = f"<Bucket>{self.bucket_name}</Bucket><Key>{escape(key)}</Key>"
        self.reply(200, f"<InitiateMultipartUploadResult>{named}{upload}</InitiateMultipartUploadResult>")

    def put_part(self, key, query, body):
        number = int(query.get("partNumber", 0))
        part = self.bucket.put_part(key, query["uploadId"], number, body)
        self.reply(200, b"", {"ETag": part.etag})

    def complete(self, key, query, body):
        wanted = []
        for part in ElementTree.fromstring(body).iter():
            if part.tag.rpartition("}")[2] == "Part":
                said = {field.tag.rpartition("}")[2]: field.text for field in part}
                wanted.append((int(said["PartNumber"]), said["ETag"]))
        made = self.bucket.complete(key, query["uploadId"], wanted)
        text = f"<Key>{escape(key)}</Key><ETag>{escape(made.etag)}</ETag>"
        text = f"<CompleteMultipartUploadResult>{text}</CompleteMultipartUploadResult>"
        self.reply(200, text, {"x-goog-generation": str(made.generation)})

    def abort(self, key, query, _body):
        self.bucket.abort(key, query["uploadId"])
        self.reply(204, b"")

    def list(self, query):
        token = query.get("continuation-token", "")
        after = base64.urlsafe_b64decode(token).decode() if token else query.get("start-after", "")
        most = min(int(query.get("max-keys", self.page)), self.page)
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        contents, prefixes, last = self.bucket.list(prefix, delimiter, after, most)
        parts = [
            f"<Contents><Key>{escape(name)}</Key><Generation>{found.generation}</Generation>"
            f"<LastModified>{iso(found.modified)}</LastModified><ETag>{escape(found.etag)}</ETag>"
            f"<Size>{len(found.body)}</Size></Contents>"
            for name, found in contents
        ]
        parts += [
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            for name in prefixes
        ]
        if last is not None:
            token = base64.urlsafe_b64encode(last.encode()).decode()
            parts.append(f"<NextContinuationToken>{token}</NextContinuationToken>")
        parts.append(f"<IsTruncated>{str(last is not None).lower()}</IsTruncated>")
        self.reply(200, f"<ListBucketResult>{''.join(parts)}</ListBucketResult>")

    def list_uploads(self, query):
        after = (query.get("key-marker", ""), query.get("upload-id-marker", ""))
        if after[0] and not after[1]:
            after = (after[0], "\U0010ffff")  # a key alone: behind all of its uploads
        most = min(int(query.get("max-uploads", self.page)), self.page)
        found, last = self.bucket.list_uploads(query.get("prefix", ""), after, most)
        parts = [
            f"<Upload><Key>{escape(key)}</Key><UploadId>{name}</UploadId>"
            f"<Initiated>{iso(begun)}</Initiated></Upload>"
            for key, name, begun in found
        ]
        if last is not None:
            parts.append(f"<NextKeyMarker>{escape(last[0])}</NextKeyMarker>")
            parts.append(f"<NextUploadIdMarker>{last[1]}</NextUploadIdMarker>")
        parts.append(f"<IsTruncated>{str(last is not None).lower()}</IsTruncated>")
        self.reply(200, f"<ListMultipartUploadsResult>{''.join(parts)}</ListMultipartUploadsResult>")

    def reply(self, status, body, headers=None):
        if isinstance(body, str):
            body = f'<?xml version="1.0" encoding="UTF-8"?>{body}'.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def described(found):
    return {
        "ETag": found.etag,
        "Last-Modified": email.utils.formatdate(found.modified, usegmt=True),
        "x-goog-generation": str(found.generation),
    }


def span(first, last, size):
    """A Range header's bytes, half-open."""
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    if start >= end:
        raise Refused(416, "InvalidRange", "The requested range cannot be satisfied.")
    return start, end


def iso(seconds):
    told = datetime.fromtimestamp(seconds, timezone.utc)
    return told.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    address_family = socket.AF_INET


def main():
    port, Handler.bucket_name, Handler.token = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    Handler.page = int(sys.argv[4]) if len(sys.argv) > 4 else 1000
    Server(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
