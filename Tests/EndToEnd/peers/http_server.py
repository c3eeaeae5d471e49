"""Serves one file to any number of clients at once: http_server.py FILE CLIENTS. The first line is the port.

Nobody gets it before so many have asked: that they load at once is not left to how fast they start. Other paths are not found.
"""

import http.server
import os
import sys
import threading

from common import PATIENCE

asked = threading.Barrier(int(sys.argv[2]), timeout=PATIENCE)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/file":
            self.send_error(404)
            return
        asked.wait()
        with open(sys.argv[1], "rb") as file:
            self.send_response(200)
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.end_headers()
            try:
                self.connection.sendfile(file)
            except ConnectionError:
                pass  # A client that wanted no more.

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 100
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
